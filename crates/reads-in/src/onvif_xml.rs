//! Profile M in XML: `tt:MetadataStream` with frames and events, and `wsnt:Notify`, alone or in a SOAP envelope.

use quick_xml::NsReader;
use quick_xml::events::{BytesStart, Event};
use quick_xml::name::ResolveResult;

use crate::onvif::{OnvifFault, PLATES_MAX, Plates, RawPlate};

/// The ONVIF schema's namespace.
const TT: &[u8] = b"http://www.onvif.org/ver10/schema";
/// Levels of elements: a notification in a SOAP envelope has 12.
const DEPTH_MAX: usize = 48;
/// Longest text that is kept: a topic.
const TEXT_MAX: usize = 256;
/// The topic of a rule that recognised a plate, whatever prefix the namespace has.
const TOPIC: &str = "RuleEngine/Recognition/LicensePlate";

/// What the walk is inside of.
#[derive(Default)]
struct Walk {
    depth: usize,
    /// Time of the frame or message, and the depth at which it began.
    at: Option<(usize, Option<String>)>,
    object: Option<(usize, Option<String>)>,
    /// The topic of the notification; `None` outside of one.
    topic: Option<(usize, String)>,
    plate: Option<(usize, RawPlate)>,
    /// Which text is being read.
    reading: Option<(usize, Field, String)>,
    plates: Vec<RawPlate>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Field {
    Number,
    Country,
    Topic,
}

fn attribute(element: &BytesStart<'_>, name: &[u8]) -> Result<Option<String>, OnvifFault> {
    for attribute in element.attributes() {
        let attribute = attribute.map_err(|_| OnvifFault::Form)?;
        if attribute.key.local_name().as_ref() == name && attribute.key.prefix().is_none() {
            let value = std::str::from_utf8(&attribute.value).map_err(|_| OnvifFault::Form)?;
            return Ok(Some(value.to_owned()).filter(|value| value.len() <= TEXT_MAX));
        }
    }
    Ok(None)
}

impl Walk {
    fn enter(&mut self, element: &BytesStart<'_>, is_tt: bool) -> Result<(), OnvifFault> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(OnvifFault::TooMuch);
        }
        let (depth, name) = (self.depth, element.local_name());
        match (name.as_ref(), is_tt) {
            (b"NotificationMessage", _) => self.topic = Some((depth, String::new())),
            (b"Topic", false) if self.topic.is_some() => self.reading = Some((depth, Field::Topic, String::new())),
            (b"Frame" | b"Message", true) => self.at = Some((depth, attribute(element, b"UtcTime")?)),
            (b"Object", true) => self.object = Some((depth, attribute(element, b"ObjectId")?)),
            (b"LicensePlateInfo", true) if self.plate.is_none() => {
                let (at, object) = (self.at.as_ref(), self.object.as_ref());
                let plate = RawPlate {
                    at: at.and_then(|(_, at)| at.clone()),
                    object: object.and_then(|(_, id)| id.clone()),
                    ..RawPlate::default()
                };
                self.plate = Some((depth, plate));
            }
            (field @ (b"PlateNumber" | b"CountryCode"), true) => {
                let odds = attribute(element, b"Likelihood")?.map(|odds| odds.trim().parse().unwrap_or(f64::NAN));
                let Some((_, plate)) = &mut self.plate else { return Ok(()) };
                let field = if field == b"PlateNumber" { Field::Number } else { Field::Country };
                match field {
                    Field::Country => plate.country_odds = odds,
                    Field::Number | Field::Topic => plate.number_odds = odds,
                }
                self.reading = Some((depth, field, String::new()));
            }
            _ => {}
        }
        Ok(())
    }

    fn text(&mut self, text: &str) {
        if let Some((_, _, held)) = &mut self.reading
            && held.len() + text.len() <= TEXT_MAX
        {
            held.push_str(text);
        }
    }

    fn leave(&mut self) -> Result<(), OnvifFault> {
        let depth = self.depth;
        if let Some((_, field, text)) = self.reading.take_if(|(at, ..)| *at == depth) {
            match (field, &mut self.plate, &mut self.topic) {
                (Field::Number, Some((_, plate)), _) => plate.number = Some(text),
                (Field::Country, Some((_, plate)), _) => plate.country = Some(text),
                (Field::Topic, _, Some((_, topic))) => *topic = text.trim().to_owned(),
                _ => {}
            }
        }
        if let Some((_, plate)) = self.plate.take_if(|(at, _)| *at == depth) {
            let is_about = self.topic.as_ref().is_none_or(|(_, topic)| is_plate_topic(topic));
            if is_about {
                self.plates.push(plate);
            }
            if self.plates.len() > PLATES_MAX {
                return Err(OnvifFault::TooMuch);
            }
        }
        drop(self.at.take_if(|(at, _)| *at == depth));
        drop(self.object.take_if(|(at, _)| *at == depth));
        drop(self.topic.take_if(|(at, _)| *at == depth));
        self.depth = depth.saturating_sub(1);
        Ok(())
    }
}

fn is_plate_topic(topic: &str) -> bool {
    let path = topic.split_once(':').map_or(topic, |(_, path)| path);
    path == TOPIC || path.strip_prefix(TOPIC).is_some_and(|rest| rest.starts_with('/'))
}

pub(crate) fn parse(body: &[u8]) -> Result<Plates, OnvifFault> {
    let text = std::str::from_utf8(body).map_err(|_| OnvifFault::Form)?;
    let mut reader = NsReader::from_str(text);
    let mut walk = Walk::default();
    loop {
        let (namespace, event) = reader.read_resolved_event().map_err(|_| OnvifFault::Form)?;
        let is_tt = matches!(&namespace, ResolveResult::Bound(bound) if bound.as_ref() == TT);
        match event {
            Event::Start(element) => walk.enter(&element, is_tt)?,
            Event::Empty(element) => {
                walk.enter(&element, is_tt)?;
                walk.leave()?;
            }
            Event::End(_) => walk.leave()?,
            Event::Text(text) => walk.text(&text.decode().map_err(|_| OnvifFault::Form)?),
            Event::CData(text) => walk.text(std::str::from_utf8(&text).map_err(|_| OnvifFault::Form)?),
            // Nothing that ONVIF says needs an entity; a document type is how XML is made large.
            Event::DocType(_) => return Err(OnvifFault::Form),
            Event::GeneralRef(_) => walk.text("?"),
            Event::Eof => break,
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) => {}
        }
    }
    if walk.depth != 0 {
        return Err(OnvifFault::Form);
    }
    Ok(walk.plates.into_iter().map(RawPlate::read).collect())
}
