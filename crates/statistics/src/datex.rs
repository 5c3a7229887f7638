//! DATEX II v3: the sites and their measured values.
//!
//! The XML schemas could not be had where this was written, so the documents are well-formed and follow the published element
//! names as known, and are not validated. Before a first exchange they are to be checked against the official schemas.

use std::fmt::Write as _;

use vms_core::WallTime;

use crate::counts::{Counter, Figure, Minutes};
use crate::site::{Site, degrees};
use crate::time::text;

const NAMESPACES: &str = "xmlns=\"http://datex2.eu/schema/3/d2Payload\" xmlns:com=\"http://datex2.eu/schema/3/common\" \
     xmlns:loc=\"http://datex2.eu/schema/3/locationReferencing\" xmlns:roa=\"http://datex2.eu/schema/3/roadTrafficData\" \
     xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" lang=\"nl\" modelBaseVersion=\"3\"";

/// Who publishes.
#[derive(Clone, Debug)]
pub struct Publisher {
    /// ISO 3166 country, lower case.
    pub country: String,
    /// National identifier.
    pub identifier: String,
}

/// The table of sites. `version` changes when the sites do.
pub fn sites(publisher: &Publisher, sites: &[Site], at: WallTime, version: u32) -> String {
    let mut out = head("roa:MeasurementSiteTablePublication", publisher, at);
    put(&mut out, format_args!("<roa:measurementSiteTable id=\"belfry-sites\" version=\"{version}\">"));
    for site in sites {
        let (code, lanes) = (escape(site.code.as_str()), site.detectors.len());
        put(&mut out, format_args!("<roa:measurementSite id=\"{code}\" version=\"{version}\">"));
        put(&mut out, format_args!("<roa:measurementSiteNumberOfLanes>{lanes}</roa:measurementSiteNumberOfLanes>"));
        out.push_str("<roa:measurementSiteName><com:values>");
        for (language, name) in [("nl", &site.name_nl), ("fr", &site.name_fr), ("en", &site.name_en)] {
            put(&mut out, format_args!("<com:value lang=\"{language}\">{}</com:value>", escape(name)));
        }
        out.push_str("</com:values></roa:measurementSiteName>");
        for (index, kind) in [(1, "trafficFlow"), (2, "trafficSpeed")] {
            put(
                &mut out,
                format_args!(
                    "<roa:measurementSpecificCharacteristics index=\"{index}\"><roa:measurementSpecificCharacteristics>\
                     <roa:specificMeasurementValueType>{kind}</roa:specificMeasurementValueType>\
                     </roa:measurementSpecificCharacteristics></roa:measurementSpecificCharacteristics>"
                ),
            );
        }
        put(
            &mut out,
            format_args!(
                "<roa:measurementSiteLocation xsi:type=\"loc:PointLocation\"><loc:pointByCoordinates><loc:bearing>{}</loc:bearing>\
                 <loc:pointCoordinates><loc:latitude>{}</loc:latitude><loc:longitude>{}</loc:longitude></loc:pointCoordinates>\
                 </loc:pointByCoordinates></roa:measurementSiteLocation></roa:measurementSite>",
                site.orientation_deg,
                degrees(site.latitude_e6),
                degrees(site.longitude_e6)
            ),
        );
    }
    out.push_str("</roa:measurementSiteTable></payload>\n");
    out
}

/// The newest figures of the sites over one interval. A site without one is left out.
pub fn measured(
    publisher: &Publisher,
    sites: &[Site],
    counter: &Counter,
    interval: Minutes,
    at: WallTime,
    version: u32,
) -> String {
    let mut out = head("roa:MeasuredDataPublication", publisher, at);
    put(
        &mut out,
        format_args!(
            "<roa:measurementSiteTableReference id=\"belfry-sites\" targetClass=\"roa:MeasurementSiteTable\" version=\"{version}\"/>"
        ),
    );
    out.push_str("<roa:headerInformation><com:confidentiality>noRestriction</com:confidentiality>");
    out.push_str("<com:informationStatus>real</com:informationStatus></roa:headerInformation>");
    for site in sites {
        if let Some(figure) = counter.figure(&site.code, None, interval) {
            measurements(&mut out, site, figure, interval, version);
        }
    }
    out.push_str("</payload>\n");
    out
}

fn measurements(out: &mut String, site: &Site, figure: Figure, interval: Minutes, version: u32) {
    let code = escape(site.code.as_str());
    // DATEX flows are vehicles an hour; the interval divides the hour.
    let flow = i64::from(figure.count) * 60 / interval.count();
    let seconds = interval.count() * 60;
    put(
        out,
        format_args!(
            "<roa:siteMeasurements><roa:measurementSiteReference id=\"{code}\" targetClass=\"roa:MeasurementSite\" version=\"{version}\"/>\
             <roa:measurementTimeDefault><roa:timeValue>{}</roa:timeValue></roa:measurementTimeDefault>\
             <roa:physicalQuantity index=\"1\"><roa:physicalQuantity xsi:type=\"roa:SinglePhysicalQuantity\">\
             <roa:basicData xsi:type=\"roa:TrafficFlow\"><roa:measurementOrCalculationPeriod>{seconds}</roa:measurementOrCalculationPeriod>\
             <roa:vehicleFlow numberOfInputValuesUsed=\"{}\"><com:vehicleFlowRate>{flow}</com:vehicleFlowRate></roa:vehicleFlow>\
             </roa:basicData></roa:physicalQuantity></roa:physicalQuantity>",
            text(figure.to),
            figure.count
        ),
    );
    if let Some(speed) = figure.speed_kmh {
        put(
            out,
            format_args!(
                "<roa:physicalQuantity index=\"2\"><roa:physicalQuantity xsi:type=\"roa:SinglePhysicalQuantity\">\
                 <roa:basicData xsi:type=\"roa:TrafficSpeed\"><roa:measurementOrCalculationPeriod>{seconds}</roa:measurementOrCalculationPeriod>\
                 <roa:averageVehicleSpeed><com:speed>{speed}</com:speed></roa:averageVehicleSpeed>\
                 </roa:basicData></roa:physicalQuantity></roa:physicalQuantity>"
            ),
        );
    }
    out.push_str("</roa:siteMeasurements>");
}

fn head(kind: &str, publisher: &Publisher, at: WallTime) -> String {
    let (country, identifier) = (escape(&publisher.country), escape(&publisher.identifier));
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<payload {NAMESPACES} xsi:type=\"{kind}\">\
         <com:publicationTime>{}</com:publicationTime><com:publicationCreator><com:country>{country}</com:country>\
         <com:nationalIdentifier>{identifier}</com:nationalIdentifier></com:publicationCreator>",
        text(at)
    )
}

fn put(out: &mut String, what: std::fmt::Arguments<'_>) {
    out.write_fmt(what).expect("writing to a text should not fail");
}

/// The five characters that XML keeps for itself; control characters, which it does not allow, become blanks.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&apos;"),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}
