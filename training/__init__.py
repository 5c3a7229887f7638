"""Training of Belfry's two number-plate networks from rendered plates."""
