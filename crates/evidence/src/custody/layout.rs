//! A4 pages, top to bottom: a title, headings, pairs of label and text, lines for signatures, a foot with the page's number.

use pdf_writer::{Content, Date, Finish as _, Name, Pdf, Rect, Ref, Str, TextStr};

#[cfg(test)]
use super::fonts::measure;
use super::fonts::{encode, wrap};
use crate::times::Utc;

/// A4 in points.
const WIDTH: f32 = 595.0;
const HEIGHT: f32 = 842.0;
const LEFT: f32 = 56.0;
/// Where the text of a pair begins.
const TEXT: f32 = 190.0;
const TOP: f32 = 786.0;
const BOTTOM: f32 = 64.0;

const PLAIN: Name<'static> = Name(b"F1");
const BOLD: Name<'static> = Name(b"F2");
const FIXED: Name<'static> = Name(b"F3");

/// Size of text, and distance of lines.
const SIZE: f32 = 9.5;
const LINE: f32 = 12.5;

/// Thousandths of [`SIZE`] between [`TEXT`] and the right margin (349 points), and between [`LEFT`] and it (483 points). Bold is
/// wider by a tenth at most; labels are short.
const ROOM_TEXT: u32 = 36_700;
const ROOM_WIDE: u32 = 50_800;

/// A sheet being laid out.
pub(super) struct Sheet {
    pages: Vec<Content>,
    y: f32,
    title: &'static str,
    id: String,
    page: &'static str,
}

impl Sheet {
    pub(super) fn new(title: &'static str, id: &str, page: &'static str) -> Self {
        Self { pages: vec![Content::new()], y: TOP, title, id: id.to_owned(), page }
    }

    fn show(&mut self, font: Name<'_>, size: f32, x: f32, text: &[u8]) {
        let y = self.y;
        if let Some(page) = self.pages.last_mut() {
            page.begin_text().set_font(font, size).next_line(x, y).show(Str(text)).end_text();
        }
    }

    /// Goes down, to a new page where there is no room for `room` more points.
    fn down(&mut self, by: f32, room: f32) {
        self.y -= by;
        if self.y - room < BOTTOM {
            self.pages.push(Content::new());
            self.y = TOP;
        }
    }

    /// What follows needs so many points of one page.
    pub(super) fn together(&mut self, room: f32) {
        self.down(0.0, room);
    }

    pub(super) fn title(&mut self, text: &str) {
        self.show(BOLD, 17.0, LEFT, &encode(text));
        self.down(26.0, 0.0);
    }

    pub(super) fn heading(&mut self, text: &str) {
        self.down(10.0, 40.0);
        for line in wrap(text, ROOM_WIDE * 4 / 5) {
            self.show(BOLD, 11.0, LEFT, &line);
            self.down(15.0, 0.0);
        }
    }

    /// A label and its text.
    pub(super) fn pair(&mut self, label: &str, text: &str) {
        let lines = wrap(text, ROOM_TEXT);
        let labels = wrap(label, 12_500);
        for at in 0..lines.len().max(labels.len()) {
            if let Some(label) = labels.get(at) {
                self.show(BOLD, SIZE, LEFT, label);
            }
            if let Some(line) = lines.get(at) {
                self.show(PLAIN, SIZE, TEXT, line);
            }
            self.down(LINE, 0.0);
        }
    }

    /// A line across the page.
    pub(super) fn line(&mut self, text: &str) {
        for line in wrap(text, ROOM_WIDE) {
            self.show(PLAIN, 8.5, LEFT, &line);
            self.down(11.0, 0.0);
        }
    }

    /// A paragraph.
    pub(super) fn text(&mut self, text: &str) {
        self.down(4.0, 0.0);
        for line in wrap(text, ROOM_WIDE) {
            self.show(PLAIN, SIZE, LEFT, &line);
            self.down(LINE, 0.0);
        }
    }

    /// Digits in equal widths.
    pub(super) fn code(&mut self, text: &str) {
        self.show(FIXED, 8.5, LEFT, &encode(text));
        self.down(LINE, 0.0);
    }

    /// Labels over lines to write on, side by side.
    pub(super) fn blank(&mut self, labels: &[&str]) {
        self.down(26.0, 12.0);
        for (label, x) in labels.iter().zip([LEFT, 310.0]) {
            let y = self.y;
            if let Some(page) = self.pages.last_mut() {
                page.set_line_width(0.5).move_to(x, y).line_to(x + 220.0, y).stroke();
            }
            self.y -= 10.0;
            self.show(PLAIN, 7.5, x, &encode(label));
            self.y += 10.0;
        }
        self.down(10.0, 0.0);
    }

    /// The file.
    pub(super) fn finish(mut self, made: Utc) -> Vec<u8> {
        let count = self.pages.len();
        let feet: Vec<Vec<u8>> =
            (1..=count).map(|n| encode(&format!("{} · {} {n}/{count}", self.id, self.page))).collect();
        let mut pdf = Pdf::new();
        let mut number = 0;
        let mut next = || {
            number += 1;
            Ref::new(number)
        };
        let (catalog, tree, info) = (next(), next(), next());
        let fonts =
            [(PLAIN, next(), &b"Helvetica"[..]), (BOLD, next(), b"Helvetica-Bold"), (FIXED, next(), b"Courier")];
        let pages: Vec<(Ref, Ref)> = self.pages.iter().map(|_| (next(), next())).collect();
        pdf.catalog(catalog).pages(tree);
        pdf.pages(tree).kids(pages.iter().map(|(page, _)| *page)).count(i32::try_from(count).unwrap_or(i32::MAX));
        for (_, id, base) in fonts {
            pdf.type1_font(id).base_font(Name(base)).encoding_predefined(Name(b"WinAnsiEncoding"));
        }
        for (((page_id, content_id), mut content), foot) in pages.iter().zip(self.pages.drain(..)).zip(feet) {
            content.begin_text().set_font(PLAIN, 7.5).next_line(LEFT, 36.0).show(Str(&foot)).end_text();
            let mut page = pdf.page(*page_id);
            page.media_box(Rect::new(0.0, 0.0, WIDTH, HEIGHT)).parent(tree).contents(*content_id);
            let mut resources = page.resources();
            let mut named = resources.fonts();
            for (name, id, _) in fonts {
                named.pair(name, id);
            }
            named.finish();
            resources.finish();
            page.finish();
            pdf.stream(*content_id, &content.finish());
        }
        let mut about = pdf.document_info(info);
        about.title(TextStr(&format!("{} {}", self.title, self.id))).producer(TextStr("Belfry"));
        if let Some(date) = date(made) {
            about.creation_date(date);
        }
        about.finish();
        pdf.finish()
    }
}

/// An instant as PDF has it, UTC, whole seconds.
fn date(at: Utc) -> Option<Date> {
    let text = at.to_string();
    let number = |from: usize, to: usize| text.get(from..to)?.parse::<u16>().ok();
    let small = |from, to| u8::try_from(number(from, to)?).ok();
    let date = Date::new(number(0, 4)?).month(small(5, 7)?).day(small(8, 10)?);
    Some(
        date.hour(small(11, 13)?).minute(small(14, 16)?).second(small(17, 19)?).utc_offset_hour(0).utc_offset_minute(0),
    )
}

/// Whether a text fits where a label stands (checked over all languages by the tests).
#[cfg(test)]
pub(super) fn label_fits(text: &str) -> bool {
    measure(&encode(text)) <= 25_000
}
