"""The plate reader: a residual CNN over 32x128 grey pixels with a CTC head."""

import torch
from torch import nn

CLASSES = 37  # blank and the alphabet
MEAN, SCALE = 0.45, 4.0


class Unit(nn.Module):
    """Convolution, normalisation, rectifier."""

    def __init__(self, inputs, outputs, kernel=3, stride=1, active=True):
        super().__init__()
        padding = kernel // 2 if isinstance(kernel, int) else tuple(k // 2 for k in kernel)
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, padding, bias=False)
        self.norm = nn.BatchNorm2d(outputs)
        self.active = active

    def forward(self, x):
        x = self.norm(self.conv(x))
        return torch.relu(x) if self.active else x


class Residual(nn.Module):
    """Two units around which the input is carried."""

    def __init__(self, width, kernel=3):
        super().__init__()
        self.first = Unit(width, width, kernel)
        self.second = Unit(width, width, kernel, active=False)

    def forward(self, x):
        return torch.relu(x + self.second(self.first(x)))


class Reader(nn.Module):
    """[N,1,32,128] in 0..1 to [N,32,37] log-probabilities."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(
            Unit(1, 16),
            Unit(16, 32, stride=2),            # 16 x 64
            Residual(32),
            Unit(32, 64, stride=2),            # 8 x 32
            Residual(64),
            Unit(64, 128, stride=(2, 1)),      # 4 x 32
            Residual(128),
            Unit(128, 192, stride=(2, 1)),     # 2 x 32
        )
        self.collapse = nn.Conv2d(192, 192, (2, 1), bias=False)
        self.norm = nn.BatchNorm2d(192)
        # Along the plate: neighbours tell letters from digits (O/0, I/1).
        self.along = nn.Sequential(Residual(192, (1, 5)), Residual(192, (1, 5)))
        self.drop = nn.Dropout(0.1)
        self.head = nn.Conv2d(192, CLASSES, 1)

    def forward(self, plates):
        x = self.body((plates - MEAN) * SCALE)
        x = torch.relu(self.norm(self.collapse(x)))
        x = self.head(self.drop(self.along(x)))
        return x.squeeze(2).transpose(1, 2).float().log_softmax(2)
