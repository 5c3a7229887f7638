//! DATEX II v3: the sites and routes, and their measured values.
//!
//! Names and order of the elements of the road traffic data follow the published schema `DATEXII_3_RoadTrafficData.xsd` 3.7, read by
//! a person. The schemas of the other namespaces (common, location referencing, payload) could not be had whole where this was
//! written, so no document was validated by a program. Before a first exchange that is to be done.

use std::fmt::Write as _;

use vms_core::WallTime;

use crate::counts::{Counter, Figure, Minutes};
use crate::site::{Site, degrees};
use crate::time::text;
use crate::travel::{Route, TravelTime};

const NAMESPACES: &str = "xmlns=\"http://datex2.eu/schema/3/d2Payload\" xmlns:com=\"http://datex2.eu/schema/3/common\" \
     xmlns:loc=\"http://datex2.eu/schema/3/locationReferencing\" xmlns:roa=\"http://datex2.eu/schema/3/roadTrafficData\" \
     xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" lang=\"nl\" modelBaseVersion=\"3\"";

/// Open data, measured on real roads.
const INFORMATION: &str = "<roa:headerInformation><com:confidentiality>noRestriction</com:confidentiality>\
     <com:informationStatus>real</com:informationStatus></roa:headerInformation>";

/// Who publishes.
#[derive(Clone, Debug)]
pub struct Publisher {
    /// ISO 3166 country, lower case.
    pub country: String,
    /// National identifier.
    pub identifier: String,
}

/// What is published about.
#[derive(Clone, Copy, Debug)]
pub struct Places<'a> {
    /// Who publishes.
    pub publisher: &'a Publisher,
    /// Counted cross-sections.
    pub sites: &'a [Site],
    /// Routes whose ends are both among the sites; others are left out.
    pub routes: &'a [Route],
    /// Changes when the places do.
    pub version: u32,
}

impl Places<'_> {
    fn end(&self, code: &crate::site::SiteCode) -> Option<&Site> {
        self.sites.iter().find(|site| site.code == *code)
    }
}

/// Sites and routes share one table: a route's id says what it is.
fn route_id(route: &Route) -> String {
    format!("route-{}", escape(route.code.as_str()))
}

/// The table of sites and routes; `None` when there is none: a table of nothing is no document.
pub fn sites(places: &Places<'_>, at: WallTime) -> Option<String> {
    let Places { publisher, sites, routes, version } = *places;
    if sites.is_empty() {
        return None;
    }
    let mut out = head("roa:MeasurementSiteTablePublication", publisher, at);
    out.push_str(INFORMATION);
    put(&mut out, format_args!("<roa:measurementSiteTable id=\"belfry-sites\" version=\"{version}\">"));
    for site in sites {
        let (code, lanes) = (escape(site.code.as_str()), site.detectors.len());
        put(&mut out, format_args!("<roa:measurementSite id=\"{code}\" version=\"{version}\">"));
        out.push_str("<roa:measurementSiteName><com:values>");
        for (language, name) in [("nl", &site.name_nl), ("fr", &site.name_fr), ("en", &site.name_en)] {
            put(&mut out, format_args!("<com:value lang=\"{language}\">{}</com:value>", escape(name)));
        }
        out.push_str("</com:values></roa:measurementSiteName>");
        put(&mut out, format_args!("<roa:measurementSiteNumberOfLanes>{lanes}</roa:measurementSiteNumberOfLanes>"));
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
    for route in routes {
        let (Some(from), Some(to)) = (places.end(&route.from), places.end(&route.to)) else { continue };
        put(
            &mut out,
            format_args!(
                "<roa:measurementSite id=\"{}\" version=\"{version}\"><roa:measurementSpecificCharacteristics index=\"1\">\
                 <roa:measurementSpecificCharacteristics>\
                 <roa:specificMeasurementValueType>travelTimeInformation</roa:specificMeasurementValueType>\
                 </roa:measurementSpecificCharacteristics></roa:measurementSpecificCharacteristics>\
                 <roa:measurementSiteLocation xsi:type=\"loc:LinearLocation\"><loc:gmlLineString srsName=\"EPSG:4326\">\
                 <loc:posList>{} {} {} {}</loc:posList></loc:gmlLineString></roa:measurementSiteLocation></roa:measurementSite>",
                route_id(route),
                degrees(from.latitude_e6),
                degrees(from.longitude_e6),
                degrees(to.latitude_e6),
                degrees(to.longitude_e6)
            ),
        );
    }
    out.push_str("</roa:measurementSiteTable></payload>\n");
    Some(out)
}

/// The newest figures of the sites over one interval, and the newest travel times. A place without one is left out; `None` when all
/// are: the schema wants one at least.
pub fn measured(
    places: &Places<'_>,
    counter: &Counter,
    times: &[&TravelTime],
    interval: Minutes,
    at: WallTime,
) -> Option<String> {
    let Places { publisher, sites, routes, version } = *places;
    let mut out = head("roa:MeasuredDataPublication", publisher, at);
    put(
        &mut out,
        format_args!(
            "<roa:measurementSiteTableReference id=\"belfry-sites\" targetClass=\"roa:MeasurementSiteTable\" version=\"{version}\"/>"
        ),
    );
    out.push_str(INFORMATION);
    let empty = out.len();
    for site in sites {
        if let Some(figure) = counter.figure(&site.code, None, interval) {
            measurements(&mut out, site, figure, interval, version);
        }
    }
    for route in routes {
        let has_ends = places.end(&route.from).is_some() && places.end(&route.to).is_some();
        if let Some(time) = times.iter().find(|time| has_ends && time.route == route.code) {
            travel_time(&mut out, route, time, version);
        }
    }
    if out.len() == empty {
        return None;
    }
    out.push_str("</payload>\n");
    Some(out)
}

/// No `numberOfInputValuesUsed`: how many drove is told in bands, and this form has none.
fn travel_time(out: &mut String, route: &Route, time: &TravelTime, version: u32) {
    put(
        out,
        format_args!(
            "<roa:siteMeasurements><roa:measurementSiteReference id=\"{}\" targetClass=\"roa:MeasurementSite\" version=\"{version}\"/>\
             <roa:physicalQuantity index=\"1\"><roa:physicalQuantity xsi:type=\"roa:SinglePhysicalQuantity\">\
             <roa:basicData xsi:type=\"roa:TravelTimeData\"><roa:travelTimeType>reconstituted</roa:travelTimeType>\
             <roa:travelTime><roa:duration>{}</roa:duration></roa:travelTime></roa:basicData></roa:physicalQuantity></roa:physicalQuantity>",
            route_id(route),
            time.mean.as_secs()
        ),
    );
    period(out, time.from, time.to);
}

/// The last part of what was measured at one place.
fn period(out: &mut String, from: WallTime, to: WallTime) {
    put(
        out,
        format_args!(
            "<roa:measurementTimeDefault><roa:timeMeaning>endTime</roa:timeMeaning><roa:timeValue>{end}</roa:timeValue>\
             <roa:period><com:startOfPeriod>{}</com:startOfPeriod><com:endOfPeriod>{end}</com:endOfPeriod></roa:period>\
             </roa:measurementTimeDefault></roa:siteMeasurements>",
            text(from),
            end = text(to)
        ),
    );
}

fn measurements(out: &mut String, site: &Site, figure: Figure, interval: Minutes, version: u32) {
    let code = escape(site.code.as_str());
    // DATEX flows are vehicles an hour; the interval divides the hour.
    let flow = i64::from(figure.count) * 60 / interval.count();
    put(
        out,
        format_args!(
            "<roa:siteMeasurements><roa:measurementSiteReference id=\"{code}\" targetClass=\"roa:MeasurementSite\" version=\"{version}\"/>\
             <roa:physicalQuantity index=\"1\"><roa:physicalQuantity xsi:type=\"roa:SinglePhysicalQuantity\">\
             <roa:basicData xsi:type=\"roa:TrafficFlow\">\
             <roa:vehicleFlow numberOfInputValuesUsed=\"{}\"><com:vehicleFlowRate>{flow}</com:vehicleFlowRate></roa:vehicleFlow>\
             </roa:basicData></roa:physicalQuantity></roa:physicalQuantity>",
            figure.count
        ),
    );
    if let Some(speed) = figure.speed_kmh {
        put(
            out,
            format_args!(
                "<roa:physicalQuantity index=\"2\"><roa:physicalQuantity xsi:type=\"roa:SinglePhysicalQuantity\">\
                 <roa:basicData xsi:type=\"roa:TrafficSpeed\">\
                 <roa:averageVehicleSpeed><com:speed>{speed}</com:speed></roa:averageVehicleSpeed>\
                 </roa:basicData></roa:physicalQuantity></roa:physicalQuantity>"
            ),
        );
    }
    period(out, figure.from, figure.to);
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
