"""What stands on plates: texts and looks of the classes of each country.

Pattern letters: L a letter, 9 a digit, V a letter of the Dutch series, a lower
case letter stands for itself.  Separators: '-' hyphen, ' ' gap, '~' Belgian seal
above a hyphen, '%' round stickers, '!' shield, '#' year vignette, '.' dot, '@' small round seal.
"""

from dataclasses import dataclass

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
DUTCH = "BDFGHJKLMNPRSTVXZ"
NO_IOQ = "ABCDEFGHJKLMNPRSTUVWXYZ"

RUBY, RED, GREEN, BLACK = (118, 20, 34), (176, 22, 32), (15, 95, 60), (18, 18, 20)
WHITE, YELLOW, BLUE = (236, 236, 232), (240, 180, 20), (25, 60, 165)
DARK, LUX = (20, 30, 90), (245, 205, 40)


@dataclass
class Look:
    """How a plate of one class is built; ratios are to the plate's height."""

    country: str
    patterns: tuple
    ink: tuple = BLACK
    paper: tuple = WHITE
    aspect: float = 520 / 110
    band: str = "left"          # left, right, both or none
    cap: float = 0.68           # cap height
    faces: dict = None
    pitch: float = 0.0          # >0: fixed character pitch
    border: bool = True
    letters: str = NO_IOQ
    weight: float = 1.0
    lines: int = 1


BE = {"belgian": 6, "stroke": 2, "din": 2, "font": 1}
NEAR = {"stroke": 4, "din": 3, "font": 3}
UK = {"british": 6, "stroke": 2, "font": 4}
DIN = {"stroke": 3, "din": 5, "font": 2}


def be(*patterns, **more):
    """A Belgian class: fixed pitch and the Belgian face unless told otherwise."""
    more.setdefault("ink", RUBY)
    more.setdefault("pitch", 50 / 110)
    more.setdefault("letters", LETTERS)
    return Look("B", patterns, faces=BE, **more)


SQUARE = {"aspect": 340 / 210, "lines": 2, "cap": 0.36, "pitch": 0.0}
MOTO = {"aspect": 210 / 140, "lines": 2, "cap": 0.36, "pitch": 0.0}

LOOKS = [
    be("1~LLL-999", "2~LLL-999", "1-LLL-999", "2-LLL-999", weight=16),
    be("9~LLL-999", "9-LLL-999", "8~LLL-999", "999-LLL", weight=3),
    be("LLL-999", "LLL~999", "999-LLL", "LLL.999", weight=5, band="none", aspect=340 / 110, pitch=0.41),
    be("LLL~999", "LLL-999", "999-LLL", weight=4, aspect=400 / 110, pitch=0.42),
    be("o-LLL-999", "9-oLL-999", "q-LLL-999", "9-qLL-999", "t-xLL-999", "t-lLL-999",
       "9-txL-999", "o~LLL-999", "q~LLL-999", weight=3),
    be("qLL-999", "uLL-999", "q~LL999", ink=BLACK, weight=1.2, aspect=360 / 110, pitch=0.42),
    be("cd-LL999", "cd-LL-999", "cd~LL999", weight=1.5, pitch=0.43),
    be("z-LLL-999", "y-LLL-999", "v-LLL-999", "9~zzL#999", "9-zLL#999", "uL-99-LLL",
       ink=GREEN, weight=2),
    be("wL-99-LLL", "xL-99-LLL", "9-999999", "999L9", "g-LLL-999", "999-L-9",
       ink=WHITE, paper=RED, weight=1.6, pitch=0.43),
    be("eur 9999", "999 euro", "eur~9999", ink=BLUE, weight=0.8, band="none", pitch=0.43),
    be("a-999", "e-999", "p-999", "LLLLLL", "LLLLL", "LLLL-99", "LLL", "LL-9999", "9-LLLLL",
       "LLLLLLL", "LLL.9", "LL~999", weight=2, pitch=0.45),
    be("1LLL/999", "9~LLL/999", "2-LLL/999", weight=2, **SQUARE),
    be("m~LLL/999", "s-aLL/999", "9-LLL/", "s-bLL/999", weight=2, **MOTO),
    Look("NL", ("99-VV-VV", "99-VVV-9", "9-VVV-99", "VV-999-V", "V-999-VV", "VVV-99-V",
                "VV-VV-99", "VV-99-VV", "VV-VV-99"), paper=YELLOW, faces=NEAR, cap=0.69,
         border=True, letters=DUTCH, weight=13),
    Look("NL", ("VV-99-99", "99-99-VV", "VV-99-VV", "99-VV-VV"), paper=DARK, ink=WHITE, band="none",
         faces=NEAR, letters=NO_IOQ, weight=1),
    Look("NL", ("99-VV-VV", "VV-999-V"), paper=(90, 160, 215), faces=NEAR, letters=DUTCH, weight=0.7),
    Look("NL", ("99-VV/VV", "VV-99/VV", "V-999/VV"), paper=YELLOW, faces=NEAR, letters=DUTCH,
         weight=1, **SQUARE),
    Look("F", ("LL-999-LL",), band="both", faces=DIN, letters="ABCDEFGHJKLMNPQRSTVWXYZ", weight=7),
    Look("F", ("999 LLL 99", "9999 LL 99", "999 LL 99", "9999LL99"), faces=DIN, weight=2),
    Look("F", ("9999 LL 99", "999 LLL 99"), paper=YELLOW, faces=DIN, weight=0.7),
    Look("D", ("L%LL 9999", "LL%LL 999", "LLL%LL 99", "LL%L 9999", "LLL%L 999", "L%LL 999",
               "L%L 9999", "LLL%LL 999", "LL%LL 9999", "L%LL 99h", "LL%LL 99e", "LL%LL 9"),
         faces={"stroke": 6, "din": 3, "font": 4}, letters=LETTERS, weight=8),
    Look("D", ("9%99-99", "LL%99-999", "9%999-99"), faces=DIN, letters=LETTERS, weight=0.6),
    Look("L", ("LL 9999", "LL9999", "9999", "99999"), paper=LUX, faces=NEAR, weight=4),
    Look("GB", ("LL99 LLL", "LL99LLL", "L999 LLL", "LLL 999L", "L9 LLL", "L99 LLL", "LL99 LLL"), faces=UK,
         letters="ABCDEFGHJKLMNOPRSTUVWXYZ", weight=3, cap=0.71),
    Look("GB", ("LL99 LLL", "LLL 999L"), paper=YELLOW, faces=UK, weight=2, cap=0.71),
    Look("GB", ("LLL 999L", "LLL 999", "999 LLL"), paper=(22, 22, 24), ink=(220, 220, 220), band="none",
         faces=UK, weight=0.6, cap=0.71),
    Look("SK", ("LL!999LL", "LL-999LL", "LL%999LL"), faces=DIN, letters=LETTERS, weight=5),
    Look("SK", ("!LL-999LL", "!LL-999LL", "!LL 999LL", "!LLL-99-99"), faces=DIN, letters=LETTERS,
         band="none", weight=2.5),
    Look("CZ", ("9L9 9999", "9L9%9999", "LLL%99-99", "9LL%9999", "LL%99-99"), faces=DIN, weight=4),
    Look("PL", ("LL 99999", "LLL 9999", "LL 9999L", "LLL 99LL", "L9 LLLLL", "LL%999LL", "LLL LL99"),
         faces=NEAR, letters=LETTERS, weight=4),
    Look("RO", ("LL 99 LLL", "L 999 LLL", "LL 999999", "L 99 LLL"), faces=DIN, letters=LETTERS, weight=4),
    Look("I", ("LL 999LL", "LL999LL", "LL@999LL", "LL@999LL"), band="both", faces=NEAR, weight=4.5),
    Look("E", ("9999 LLL", "L 9999 LL", "LL 9999 L", "L-9999-LL"), faces=DIN, letters=NO_IOQ, weight=3),
    Look("A", ("L!99999L", "LL!999LL", "L!9999L", "L! 99 LL", "LL!99 LLL", "L!9 LLL", "L!LLLL 9",
               "LL!LLL 9"), faces=DIN, letters=LETTERS, weight=3.5),
    Look("CH", ("LL%999999", "LL!99999", "LL-999999"), band="none", faces=DIN, letters=LETTERS, weight=1.5),
    Look("P", ("LL-99-LL", "99-LL-99", "99-99-LL"), faces=DIN, weight=2),
    Look("S", ("LLL 999", "LLL 99L", "LLL999"), faces=DIN, weight=1.2),
    Look("N", ("LL 99999",), faces=DIN, weight=1),
    Look("H", ("LLL-999", "LLLL-999", "LL LL-999"), faces=DIN, weight=1.5),
    Look("LT", ("LLL!999", "LL-9999", "LLL-999", "LL!9999"), faces=DIN, weight=1),
    Look("GR", ("LLL-9999",), faces=DIN, letters="ABEHIKMNOPTXYZ", weight=1),
    Look("HR", ("LL!999-LL", "LL!9999-LL", "LL!999-L", "LL 9999 LL"), faces=DIN, letters=LETTERS, weight=1),
    Look("DK", ("LL 99 999",), faces=DIN, weight=1),
    Look("X", ("LLL9999", "9LLL999", "LLL 999", "999 LLL", "LLL-9999", "LLL9L99"), band="none",
         aspect=2.0, cap=0.45, faces=NEAR, weight=1.5),
    Look("X", ("LLLLLL", "LLLL", "LLLLL", "LLLLLLL", "99999", "999999", "LL99", "L9L9L9", "9L9L9L",
               "LLL 99", "99L99L", "LLLL9999", "9LL9L9"), letters=LETTERS,
         faces={"belgian": 2, "stroke": 3, "din": 2, "font": 3}, weight=4),
]
WEIGHTS = [look.weight for look in LOOKS]


SHORT = [look for look in LOOKS if look.lines == 2]


def sample(rng, short=False):
    """A random class and a text of it: (Look, [line, ...]); `short`: of two lines."""
    look = rng.choice(SHORT) if short else rng.choices(LOOKS, WEIGHTS)[0]
    lines = fill(rng.choice(look.patterns), look.letters, rng).split("/")
    return look, [line for line in lines if line]


def fill(pattern, letters, rng):
    """The pattern with its wildcards drawn at random."""
    out = []
    # A tenth of the texts is rich in the letters that are rare elsewhere.
    favour = "QQOIWGMKV" if rng.random() < 0.14 else ""
    for char in pattern:
        if char == "9":
            out.append(rng.choice("0123456789"))
        elif char == "V":
            out.append(rng.choice(DUTCH))
        elif char == "L":
            pick = rng.choice(letters)
            # O, I and Q are rare in nearly all series; keep them rare here.
            if favour and rng.random() < 0.4:
                pick = rng.choice([c for c in favour if c in letters])
            elif pick in "OIQ" and rng.random() < 0.4:
                pick = rng.choice(NO_IOQ)
            out.append(pick)
        else:
            out.append(char.upper())
    return "".join(out)


def label(line):
    """What a reader has to return for a line: its letters and digits."""
    return "".join(char for char in line if char.isalnum())
