//! Profile M messages in each of their forms, and what is made of them.

#![expect(clippy::string_slice, reason = "tests say what they expect")]

use reads_in::batch::ReadFault;
use reads_in::onvif::{Kind, OnvifFault, parse, topic};
use serde_json::json;
use vms_core::WallTime;

const AT: WallTime = WallTime::from_micros(1_795_172_400_321_000);

const METADATA: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<tt:MetadataStream xmlns:tt="http://www.onvif.org/ver10/schema">
  <tt:VideoAnalytics>
    <tt:Frame UtcTime="2026-11-20T11:00:00.321Z" Source="AnprModule">
      <tt:Object ObjectId="17">
        <tt:Appearance>
          <tt:Class><tt:Type Likelihood="0.9">LicensePlate</tt:Type></tt:Class>
          <tt:LicensePlateInfo>
            <tt:PlateNumber Likelihood="0.97"> 1-ABC-234 </tt:PlateNumber>
            <tt:PlateType Likelihood="0.8">Normal</tt:PlateType>
            <tt:CountryCode Likelihood="0.95">BE</tt:CountryCode>
            <tt:IssuingEntity>DIV</tt:IssuingEntity>
          </tt:LicensePlateInfo>
        </tt:Appearance>
      </tt:Object>
      <tt:Object ObjectId="18"><tt:Appearance/></tt:Object>
    </tt:Frame>
  </tt:VideoAnalytics>
</tt:MetadataStream>"#;

const NOTIFY: &str = r#"<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope" xmlns:wsnt="http://docs.oasis-open.org/wsn/b-2"
    xmlns:x="http://www.onvif.org/ver10/schema" xmlns:tns1="http://www.onvif.org/ver10/topics">
  <s:Body><wsnt:Notify>
    <wsnt:NotificationMessage>
      <wsnt:Topic Dialect="http://www.onvif.org/ver10/tev/topicExpression/ConcreteSet">TOPIC</wsnt:Topic>
      <wsnt:Message>
        <x:Message UtcTime="2026-11-20T11:00:00.321Z" PropertyOperation="Changed">
          <x:Source><x:SimpleItem Name="VideoSource" Value="vs1"/><x:SimpleItem Name="Rule" Value="plates"/></x:Source>
          <x:Data>
            <x:SimpleItem Name="Likelihood" Value="0.9"/>
            <x:ElementItem Name="LicensePlateInfo"><x:LicensePlateInfo>
              <x:PlateNumber Likelihood="0.9">2XYZ987</x:PlateNumber><x:CountryCode>FRA</x:CountryCode>
            </x:LicensePlateInfo></x:ElementItem>
          </x:Data>
        </x:Message>
      </wsnt:Message>
    </wsnt:NotificationMessage>
  </wsnt:Notify></s:Body></s:Envelope>"#;

fn notify(topic: &str) -> String {
    NOTIFY.replace("TOPIC", topic)
}

#[test]
fn metadata_and_events_in_xml() {
    let plates = parse(METADATA.as_bytes(), None).unwrap();
    let [Ok(plate)] = &plates[..] else { panic!("{plates:?}") };
    assert_eq!((plate.at, plate.plate.reveal(), plate.object.as_deref()), (AT, "1ABC234", Some("17")));
    let country = plate.country.unwrap();
    assert_eq!((plate.confidence.millionths(), country.0.as_str(), country.1.millionths()), (970_000, "B", 950_000));

    for (name, count) in [
        ("tns1:RuleEngine/Recognition/LicensePlate", 1),
        ("RuleEngine/Recognition/LicensePlate", 1),
        ("tns1:RuleEngine/Recognition/LicensePlate/tnsacme:Parking", 1),
        ("tns1:RuleEngine/Recognition/Face", 0),
        ("tns1:RuleEngine/Recognition/LicensePlates", 0),
    ] {
        let plates = parse(notify(name).as_bytes(), None).unwrap();
        assert_eq!(plates.len(), count, "{name}");
        if let [Ok(plate)] = &plates[..] {
            assert_eq!((plate.at, plate.plate.reveal(), plate.object.as_deref()), (AT, "2XYZ987", None));
            let country = plate.country.unwrap();
            assert_eq!((country.0.as_str(), country.1.millionths()), ("F", 0), "not stated is not sure");
        }
    }
    // The same names in another namespace are something else.
    let foreign = METADATA.replace("http://www.onvif.org/ver10/schema", "http://example.org/schema");
    assert_eq!(parse(foreign.as_bytes(), None).unwrap(), []);
}

#[test]
fn the_same_in_json() {
    let info = json!({ "PlateNumber": { "@Likelihood": 0.97, "#text": "1-ABC-234" }, "PlateType": { "#text": "Normal" },
        "CountryCode": { "@Likelihood": 0.95, "#text": "BEL" } });
    let frame = json!({ "@UtcTime": "2026-11-20T11:00:00.321", "@Source": "AnprModule", "Object": [
        { "@ObjectId": 17, "Appearance": { "LicensePlateInfo": info } }, { "@ObjectId": 18, "Appearance": {} }] });
    let metadata = json!({ "Frame": [frame] }).to_string();
    assert_eq!(parse(metadata.as_bytes(), None).unwrap(), parse(METADATA.as_bytes(), None).unwrap(), "no zone is UTC");
    assert_eq!(parse(metadata.as_bytes(), Some(Kind::Event)).unwrap(), [], "its topic says that it is an event");
    let event = |data: serde_json::Value| {
        json!({ "UtcTime": "2026-11-20T11:00:00.321Z", "Source": { "VideoSource": "vs1", "Rule": "plates" }, "Data": data }).to_string()
    };
    for data in [
        json!({ "Likelihood": "0.9", "LicensePlateInfo": { "LicensePlateInfo": { "PlateNumber": { "@Likelihood": "0.9", "#text": "2XYZ987" }, "CountryCode": "FR" } } }),
        json!({ "LicensePlateInfo": { "PlateNumber": { "@Likelihood": 0.9, "#text": "2XYZ987" }, "CountryCode": { "#text": "FR" } } }),
    ] {
        let wanted = parse(notify("tns1:RuleEngine/Recognition/LicensePlate").as_bytes(), None).unwrap();
        assert_eq!(parse(event(data).as_bytes(), Some(Kind::Event)).unwrap(), wanted);
    }
    assert_eq!(parse(event(json!({ "State": true })).as_bytes(), None).unwrap(), []);
}

#[test]
fn what_does_not_read_is_named_or_refused() {
    let change = |from: &str, to: &str| METADATA.replace(from, to);
    for (what, text, wanted) in [
        ("no time", change(" UtcTime=\"2026-11-20T11:00:00.321Z\"", ""), ReadFault::At),
        ("no time that reads", change("2026-11-20T11", "yesterday"), ReadFault::At),
        ("no plate", change(" 1-ABC-234 ", ""), ReadFault::Plate),
        ("an entity in it", change("1-ABC-234", "1&amp;2"), ReadFault::Plate),
        ("not a likelihood", change("0.97", "97"), ReadFault::Confidence),
        ("not a number", change("0.97", "high"), ReadFault::Confidence),
    ] {
        assert_eq!(parse(text.as_bytes(), None).unwrap(), [Err(wanted)], "{what}");
    }
    let bomb = r#"<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><x>&b;</x>"#;
    let deep = "<a>".repeat(60);
    for (what, text, wanted) in [
        ("a document type", bomb, OnvifFault::Form),
        ("too deep", &deep, OnvifFault::TooMuch),
        ("cut off", &METADATA[..METADATA.len() - 20], OnvifFault::Form),
        ("nothing", "", OnvifFault::Form),
        ("text", "plate", OnvifFault::Form),
        ("half JSON", r#"{"Frame":"#, OnvifFault::Form),
    ] {
        assert_eq!(parse(text.as_bytes(), None), Err(wanted), "{what}");
    }
    let object = &METADATA
        [METADATA.find("<tt:Object ObjectId=\"17\">").unwrap()..METADATA.find("<tt:Object ObjectId=\"18\">").unwrap()];
    let many = METADATA.replace(object, &object.repeat(201));
    assert_eq!(parse(many.as_bytes(), None), Err(OnvifFault::TooMuch));
}

#[test]
fn topics_name_the_camera_and_the_kind() {
    for (text, wanted) in [
        ("brussels/LEZ-1/onvif-mj/VideoAnalytics/1/Anpr", Some(("LEZ-1", Kind::Metadata))),
        ("LEZ-1/onvif-ej/RuleEngine/Recognition/LicensePlate/&vs1/plates", Some(("LEZ-1", Kind::Event))),
        ("LEZ-1/onvif-ej/RuleEngine/Recognition/LicensePlate", Some(("LEZ-1", Kind::Event))),
        ("LEZ-1/onvif-ej/RuleEngine/Recognition/Face/&vs1", None),
        ("LEZ-1/onvif-mj/PTZ/1", None),
        ("/onvif-mj/VideoAnalytics/1", None),
        ("LEZ-1/other/VideoAnalytics/1", None),
        ("", None),
    ] {
        assert_eq!(topic(text), wanted, "{text}");
    }
}
