//! Plates to readings: warped inputs in batches through the reader model.

use ort::value::TensorRef;

use crate::ctc::{self, Reading};
use crate::frame::Frame;
use crate::model::{Model, ModelError};
use crate::rectify::{self, HIGH, Quad, WIDE};

/// Inputs of one inference at most; bounds its memory.
const BATCH_MAX: usize = 32;

/// A short plate read with less certainty than this is halved in other ways too.
const HALVED_SURE: f64 = 0.97;

/// The reader model with its input buffer.
#[derive(Debug)]
pub struct Recogniser {
    model: Model,
    input: Vec<f32>,
}

impl Recogniser {
    /// Around a checked model.
    pub fn new(model: Model) -> Self {
        Self { model, input: Vec::new() }
    }

    /// The model's card.
    pub const fn card(&self) -> &crate::model::Card {
        &self.model.card
    }

    /// One reading for each plate.
    ///
    /// # Errors
    /// [`ModelError::Runtime`].
    pub fn run(&mut self, plates: &[(&Frame, Quad)]) -> Result<Vec<Reading>, ModelError> {
        let mut inputs = std::mem::take(&mut self.input);
        inputs.clear();
        let counts: Vec<usize> = plates.iter().map(|(frame, quad)| rectify::lines(frame, quad, &mut inputs)).collect();
        let raw = self.infer(&inputs);
        self.input = inputs;
        let mut raw = raw?.into_iter();
        let mut readings: Vec<Reading> = counts.iter().map(|count| merge(&mut raw, *count)).collect();
        self.halve_again(plates, &counts, &mut readings)?;
        Ok(readings)
    }

    /// Unsure readings of short plates give way to surer ones of other halves.
    fn halve_again(
        &mut self,
        plates: &[(&Frame, Quad)],
        counts: &[usize],
        readings: &mut [Reading],
    ) -> Result<(), ModelError> {
        let again: Vec<(&mut Reading, &(&Frame, Quad))> = readings
            .iter_mut()
            .zip(counts)
            .zip(plates)
            .filter(|((reading, count), _)| **count > 1 && reading.certainty() < HALVED_SURE)
            .map(|((reading, _), plate)| (reading, plate))
            .collect();
        if again.is_empty() {
            return Ok(());
        }
        let mut inputs = std::mem::take(&mut self.input);
        inputs.clear();
        again.iter().for_each(|(_, (frame, quad))| rectify::other_halves(frame, quad, &mut inputs));
        let raw = self.infer(&inputs);
        self.input = inputs;
        let raw = raw?;
        for ((reading, _), ways) in again.into_iter().zip(raw.chunks(rectify::OTHER_INPUTS)) {
            for (upper, lower) in ways.iter().step_by(2).zip(ways.iter().skip(1).step_by(2)) {
                if let Some(surer) = surer_halves(reading, upper, lower) {
                    *reading = surer;
                }
            }
        }
        Ok(())
    }

    fn infer(&mut self, inputs: &[f32]) -> Result<Vec<Reading>, ModelError> {
        let mut readings = Vec::new();
        for batch in inputs.chunks(BATCH_MAX * WIDE * HIGH) {
            let count = batch.len() / (WIDE * HIGH);
            let tensor = TensorRef::from_array_view(([count, 1, HIGH, WIDE], batch))?;
            let outputs = self.model.session.run(ort::inputs!["plates" => tensor])?;
            let missing = || ModelError::Runtime("the reader gave no `logprobs`".to_owned());
            let (shape, values) = outputs.get("logprobs").ok_or_else(missing)?.try_extract_tensor::<f32>()?;
            let alphabet = self.model.card.alphabet.as_bytes();
            let classes = shape.last().and_then(|c| usize::try_from(*c).ok()).unwrap_or(0);
            if classes != alphabet.len() + 1 || values.len() % (count * classes) != 0 {
                return Err(ModelError::Runtime("the reader's `logprobs` do not fit its alphabet".to_owned()));
            }
            let each = values.len() / count;
            readings.extend(values.chunks_exact(each).map(|rows| ctc::decode(rows, classes, alphabet)));
        }
        Ok(readings)
    }
}

/// One line, or the better of one line and two.
fn merge(raw: &mut impl Iterator<Item = Reading>, count: usize) -> Reading {
    let whole = raw.next().unwrap_or_default();
    if count < 3 {
        return whole;
    }
    let (upper, lower) = (raw.next().unwrap_or_default(), raw.next().unwrap_or_default());
    surer_halves(&whole, &upper, &lower).unwrap_or(whole)
}

/// Two lines as one reading, if both say something and it is surer than `known`.
fn surer_halves(known: &Reading, upper: &Reading, lower: &Reading) -> Option<Reading> {
    let both_say_something = !upper.best().is_empty() && !lower.best().is_empty();
    Some(upper.joined(lower)).filter(|halves| both_say_something && halves.certainty() > known.certainty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(text: &str, p: f64) -> Reading {
        Reading { candidates: vec![(text.to_owned(), p)] }
    }

    #[test]
    fn a_short_plate_is_read_the_surer_way() {
        for (whole, upper, lower, wanted) in [
            (reading("AB12", 0.9), reading("1A", 0.5), reading("B2", 0.9), "AB12"),
            (reading("X", 0.2), reading("1ABC", 0.9), reading("234", 0.9), "1ABC234"),
            (reading("X", 0.2), reading("", 0.9), reading("234", 0.9), "X"),
        ] {
            let mut raw = [whole, upper, lower].into_iter();
            assert_eq!(merge(&mut raw, 3).best(), wanted);
        }
        assert_eq!(merge(&mut [reading("Q", 0.1)].into_iter(), 1).best(), "Q");
    }
}
