//! Text in the base fonts of PDF: Windows-1252 bytes and Helvetica's widths.
//!
//! The base fonts need no embedding and no licence, and hold every letter of Dutch, French and English. A character that they lack is
//! shown as `?`: the exact text stands in the manifest.

/// Windows-1252 of a character, if it has one (ISO/IEC 8859-1 and the common ones of 0x80–0x9f).
fn byte_of(c: char) -> Option<u8> {
    const UPPER: [(char, u8); 18] = [
        ('€', 0x80),
        ('‚', 0x82),
        ('„', 0x84),
        ('…', 0x85),
        ('Š', 0x8a),
        ('Œ', 0x8c),
        ('Ž', 0x8e),
        ('‘', 0x91),
        ('’', 0x92),
        ('“', 0x93),
        ('”', 0x94),
        ('•', 0x95),
        ('–', 0x96),
        ('—', 0x97),
        ('š', 0x9a),
        ('œ', 0x9c),
        ('ž', 0x9e),
        ('Ÿ', 0x9f),
    ];
    match u8::try_from(u32::from(c)) {
        Ok(byte @ (0x20..=0x7e | 0xa0..=0xff)) => Some(byte),
        Ok(_) => Some(b' '),
        Err(_) => UPPER.iter().find(|(known, _)| *known == c).map(|(_, byte)| *byte),
    }
}

/// Bytes to show.
pub(super) fn encode(text: &str) -> Vec<u8> {
    text.chars().map(|c| byte_of(c).unwrap_or(b'?')).collect()
}

/// Widths of Helvetica from space to tilde, thousandths of the size (Adobe's metrics of the base fonts).
const WIDTHS: [u16; 95] = [
    278, 278, 355, 556, 556, 889, 667, 191, 333, 333, 389, 584, 278, 333, 278, 278, 556, 556, 556, 556, 556, 556, 556,
    556, 556, 556, 278, 278, 584, 584, 584, 556, 1015, 667, 667, 722, 722, 667, 611, 778, 722, 278, 500, 667, 556, 833,
    722, 778, 667, 778, 722, 667, 611, 722, 667, 944, 667, 667, 611, 278, 278, 278, 469, 556, 333, 556, 556, 500, 556,
    556, 278, 556, 556, 222, 222, 500, 222, 833, 556, 556, 556, 556, 333, 500, 278, 556, 500, 722, 500, 500, 500, 334,
    260, 334, 584,
];

/// Width of one byte; accented letters are as wide as their bare ones at most, others as wide as an em at most.
fn width(byte: u8) -> u16 {
    let plain = usize::from(byte).checked_sub(0x20).and_then(|at| WIDTHS.get(at));
    plain.copied().unwrap_or(match byte {
        0xc0..=0xde | 0x80..=0x8f | 0x97 => 1_000,
        0xec..=0xef | 0x91 | 0x92 | 0xb7 => 278,
        0x90..=0xff => 611,
        0x00..=0x7f => 278,
    })
}

/// Thousandths of the size that a text takes.
pub(super) fn measure(bytes: &[u8]) -> u32 {
    bytes.iter().map(|byte| u32::from(width(*byte))).sum()
}

/// Breaks a text into lines of at most `room` thousandths; a word that is longer is cut.
pub(super) fn wrap(text: &str, room: u32) -> Vec<Vec<u8>> {
    let mut lines = Vec::new();
    let mut line: Vec<u8> = Vec::new();
    for word in encode(text).split(|byte| *byte == b' ') {
        let mut word = word;
        while !word.is_empty() {
            let gap = u32::from(!line.is_empty()) * 278;
            if measure(&line).saturating_add(gap).saturating_add(measure(word)) <= room {
                if gap > 0 {
                    line.push(b' ');
                }
                line.extend_from_slice(word);
                word = &[];
            } else if line.is_empty() {
                let fits =
                    (1..=word.len()).take_while(|n| word.get(..*n).is_some_and(|part| measure(part) <= room)).last();
                let (part, rest) = word.split_at_checked(fits.unwrap_or(1)).unwrap_or((word, &[]));
                lines.push(part.to_vec());
                word = rest;
            } else {
                lines.push(std::mem::take(&mut line));
            }
        }
    }
    if !line.is_empty() || lines.is_empty() {
        lines.push(line);
    }
    lines
}
