"""The plate detector: plain 3x3 convolutions, anchor-free, strides 8, 16, 32."""

import torch
from torch import nn
from torch.nn import functional

from .reader_model import Unit

STRIDES = (8, 16, 32)
WIDE = 48
OUTPUTS = 13  # score, box, four corners


class Detector(nn.Module):
    """[N,3,H,W] in 0..1 to raw maps, or with `decode` to [N,M,13] in pixels."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(Unit(3, 16, stride=2), Unit(16, 32, stride=2))
        self.level8 = nn.Sequential(Unit(32, 64, stride=2), Unit(64, 64))
        self.level16 = nn.Sequential(Unit(64, 96, stride=2), Unit(96, 96))
        self.level32 = nn.Sequential(Unit(96, 128, stride=2), Unit(128, 128))
        self.sides = nn.ModuleList(Unit(width, WIDE, 1) for width in (64, 96, 128))
        self.merges = nn.ModuleList(Unit(WIDE, WIDE) for _ in STRIDES)
        self.heads = nn.ModuleList(nn.Conv2d(WIDE, OUTPUTS, 1) for _ in STRIDES)
        for head in self.heads:
            nn.init.normal_(head.weight, std=0.01)
            nn.init.zeros_(head.bias)
            nn.init.constant_(head.bias[:1], -4.6)  # a plate is rare
        # Sees the whole of a plate that is near; begins as if it were not there.
        self.wide = nn.Sequential(nn.Conv2d(128, 128, 3, padding=2, dilation=2, bias=False), nn.BatchNorm2d(128))
        nn.init.zeros_(self.wide[1].weight)

    def maps(self, image):
        """The raw maps of the three strides."""
        c8 = self.level8(self.stem((image - 0.45) * 4.0))
        c16 = self.level16(c8)
        c32 = self.level32(c16)
        c32 = torch.relu(c32 + self.wide(c32))
        sides = [side(c) for side, c in zip(self.sides, (c8, c16, c32))]
        sides[1] = sides[1] + functional.interpolate(sides[2], scale_factor=2.0)
        sides[0] = sides[0] + functional.interpolate(sides[1], scale_factor=2.0)
        return [head(merge(x)) for head, merge, x in zip(self.heads, self.merges, sides)]

    def forward(self, image):
        return torch.cat([decode(m.float(), s) for m, s in zip(self.maps(image), STRIDES)], 1)


def decode(raw, stride):
    """A raw map to [N,cells,13]: sigmoid score, box and corners in pixels."""
    # Running sums of ones give the cells' places for any size when exported.
    ones = torch.ones_like(raw[:, :1])
    x = (ones.cumsum(3) - 0.5) * stride
    y = (ones.cumsum(2) - 0.5) * stride
    side = functional.softplus(raw[:, 1:5]) * stride
    box = torch.cat([x - side[:, 0:1], y - side[:, 1:2], x + side[:, 2:3], y + side[:, 3:4]], 1)
    base = torch.cat([x, y] * 4, 1)
    corners = base + raw[:, 5:13] * stride
    return torch.cat([raw[:, :1].sigmoid(), box, corners], 1).flatten(2).transpose(1, 2)
