//! Vehicles, their permits and their passages, drawn so that boundaries are met often.

use traffic_rules::PlateKind;
use traffic_rules::PlateReading;
use traffic_rules::calendar::{Clock, OnHoliday, Weekday, Window};
use traffic_rules::zbt::{
    GroupMember, ListKind, Listing, Passage, Permit as EnginePermit, PermitId, PermitStatus, PriorPassage, QuotaGroup,
    RightCode, ZbtHistory, ZbtInput, ZoneCode,
};
use vms_core::{Country, WallTime};

use crate::civil::{self, DAY, SECOND};
use crate::draw::Draw;

/// A vehicle with its papers. Instants are microseconds.
#[derive(Debug)]
pub(crate) struct Case {
    pub(crate) plate: &'static str,
    /// Right, from, to.
    pub(crate) listings: Vec<(&'static str, i64, Option<i64>)>,
    pub(crate) permits: Vec<Permit>,
}

/// A permit. `hours`: days of the week (0 is Monday), minutes from and to, not on holidays.
#[derive(Debug)]
pub(crate) struct Permit {
    pub(crate) id: &'static str,
    pub(crate) right: &'static str,
    pub(crate) zone: &'static str,
    pub(crate) from: i64,
    pub(crate) to: i64,
    pub(crate) granted: i64,
    pub(crate) status: &'static str,
    pub(crate) hours: Option<(&'static [i64], i64, i64, bool)>,
    /// Places and other vehicles.
    pub(crate) group: Option<(usize, Vec<Member>)>,
}

/// Another vehicle of a group.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) id: String,
    pub(crate) vehicle: &'static str,
    pub(crate) from: i64,
    pub(crate) to: i64,
    pub(crate) granted: i64,
}

/// What was read.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Pass {
    Entry,
    Exit,
    /// Left at.
    Stay(i64),
}

/// One passage.
#[derive(Debug)]
pub(crate) struct Read {
    pub(crate) zone: &'static str,
    pub(crate) at: i64,
    pub(crate) pass: Pass,
    pub(crate) decided: i64,
}

const ZONES: [&str; 8] =
    ["ZBT-XL-A", "ZBT-XL-A", "ZBT-XL-A", "ZBT-XL-B", "ZBT-XL-B", "ZBT-XL-C", "ZBT-BXL-PENTAGON", "ZBT-NOWHERE"];

/// A vehicle and its passages.
pub(crate) fn history(draw: &mut Draw) -> (Case, Vec<Read>) {
    let mut day = match draw.between(0, 9) {
        0 => civil::number(2018, 7, draw.between(5, 9)),
        // The nights of the clocks, Easter week, the days around the year's end.
        1 => civil::number(2026, 10, draw.between(23, 31)),
        2 => civil::number(2026, 3, draw.between(27, 31)),
        3 => civil::number(2026, 4, draw.between(1, 9)),
        4 => civil::number(2026, 12, draw.between(20, 31)),
        5 => civil::number(2026, draw.of(&[5, 7, 8, 11]), draw.between(1, 22)),
        _ => civil::number(2018, 7, 7) + draw.between(0, 6_000),
    };
    // A Friday often enough: the next working day is not tomorrow.
    let friday = draw.percent(30);
    while friday && civil::weekday(day) != 4 {
        day += 1;
    }
    let mut reads = Vec::new();
    for _ in 0..draw.between(3, 9) {
        reads.push(read(draw, day));
        day += draw.of(&[0, 0, 0, 1, 1, 2, 7, 30, 180]);
    }
    let case = case(draw, &reads);
    (case, reads)
}

fn read(draw: &mut Draw, day: i64) -> Read {
    let minute = draw.of(&[0, 120, 150, 180, 6 * 60 + 59, 7 * 60, 9 * 60, 10 * 60, 11 * 60, 12 * 60, 19 * 60, 22 * 60]);
    let at = if draw.percent(60) {
        civil::later(day, minute) + draw.of(&[-SECOND, -1, 0, 1, SECOND])
    } else {
        civil::midnight(day) + draw.between(0, 86_399) * SECOND
    };
    let pass = match draw.between(0, 9) {
        0 => Pass::Exit,
        1..=4 => Pass::Stay(at + draw.of(&[-60, 0, 1, 240, 7_199, 7_200, 86_399, 86_400]) * SECOND),
        _ => Pass::Entry,
    };
    let decided = at + draw.of(&[0, 60, 7_199, 7_200, 86_399, 86_400]) * SECOND;
    Read { zone: draw.of(&ZONES), at, pass, decided }
}

fn case(draw: &mut Draw, reads: &[Read]) -> Case {
    let anchor = reads[usize::try_from(draw.between(0, i64::try_from(reads.len()).unwrap() - 1)).unwrap()].at;
    let plate = draw
        .of(&["standard", "standard", "standard", "standard", "standard", "standard", "standard", "taxi", "trailer"]);
    let mut listings = Vec::new();
    if draw.percent(15) {
        let from = anchor + draw.of(&[-30 * DAY, -1, 0, 1]);
        let to = draw.percent(60).then(|| from + draw.of(&[1, 3_600 * SECOND, 60 * DAY]));
        listings.push((draw.of(&["Z-BIKE", "Z-SERV", "Z-PRIO", "Z-PT", "Z-MIL", "Z-TAXI"]), from, to));
    }
    let ids = ["P-1", "P-2", "P-3"];
    let count = usize::try_from(draw.between(0, 3)).unwrap();
    let permits = ids.into_iter().take(count).map(|id| permit(draw, id, anchor)).collect();
    Case { plate, listings, permits }
}

fn permit(draw: &mut Draw, id: &'static str, anchor: i64) -> Permit {
    let day = civil::local(anchor).0;
    let from = match draw.between(0, 4) {
        // A year, or a month, before the passage, to the day.
        0 => civil::midnight(civil::plus_months(day, -12)) + draw.of(&[0, -DAY, DAY]),
        1 => civil::midnight(civil::plus_months(day, -1)) + draw.of(&[0, -DAY, DAY]),
        2 => anchor + draw.of(&[-1, 0, 1]),
        _ => anchor - draw.between(0, 300) * DAY,
    };
    let to = draw.of(&[from + 2_000 * DAY, from + 200 * DAY, anchor, anchor + 1]);
    let granted = match draw.between(0, 9) {
        0 => anchor + draw.of(&[-1, 0, 1, 3_600 * SECOND]),
        1..=3 => civil::later(day + draw.between(1, 5), 23 * 60) + draw.of(&[-1, 0]),
        _ => from - draw.between(0, 20) * DAY,
    };
    let right = draw.of(&[
        "Z-GARAGE",
        "Z-GARAGE",
        "Z-GARAGE",
        "Z-MED",
        "Z-DIS-RES",
        "Z-DIS-EXT",
        "Z-RES",
        "Z-RES",
        "Z-DELIV",
        "Z-DELIV",
        "Z-DAY",
        "Z-SERV",
        "Z-NONE",
    ]);
    let all: &[i64] = &[0, 1, 2, 3, 4, 5, 6];
    let hours = draw.percent(30).then(|| {
        draw.of(&[
            (&[0_i64, 1, 2, 3, 4][..], 7 * 60, 19 * 60, true),
            (all, 9 * 60, 10 * 60, false),
            (all, 22 * 60, 9 * 60, true),
            (&[5, 6], 0, 24 * 60, false),
            (all, 150, 11 * 60, false),
        ])
    });
    Permit {
        id,
        right,
        zone: draw.of(&["ZBT-XL-A", "ZBT-XL-A", "ZBT-XL-B", "ZBT-XL-C"]),
        from,
        to,
        granted,
        status: draw.of(&["granted", "granted", "granted", "granted", "granted", "requested", "suspended", "refused"]),
        hours,
        group: (right == "Z-GARAGE" && draw.percent(90)).then(|| group(draw, granted, anchor)),
    }
}

fn group(draw: &mut Draw, granted: i64, anchor: i64) -> (usize, Vec<Member>) {
    let vehicles = ["v1", "v2", "v3", "v4", "v5", "v6", "v7"];
    let count = usize::try_from(draw.between(0, 8)).unwrap();
    let members = (0..count).map(|number| {
        let from = anchor + draw.of(&[-100 * DAY, -100 * DAY, -100 * DAY, 0, 1]);
        Member {
            id: format!("{}-{number}", draw.of(&["G", "Q"])),
            vehicle: draw.of(&vehicles),
            from,
            to: anchor + draw.of(&[0, 1, 100 * DAY, 100 * DAY, 100 * DAY]),
            granted: granted + draw.of(&[-DAY, -DAY, -DAY, -1, 0, 1, DAY]),
        }
    });
    let members: Vec<_> = members.collect();
    (draw.of(&[0, 1, 1, 1, 2]), members)
}

fn wall(at: i64) -> WallTime {
    WallTime::from_micros(at)
}

fn window(hours: (&[i64], i64, i64, bool)) -> Window {
    const WEEK: [Weekday; 7] =
        [Weekday::Mon, Weekday::Tue, Weekday::Wed, Weekday::Thu, Weekday::Fri, Weekday::Sat, Weekday::Sun];
    let clock = |minute| Clock::of_minutes(u16::try_from(minute).unwrap()).unwrap();
    Window {
        days: hours.0.iter().map(|day| WEEK[usize::try_from(*day).unwrap()]).collect(),
        from: clock(hours.1),
        to: clock(hours.2),
        on_holiday: if hours.3 { OnHoliday::Off } else { OnHoliday::Same },
    }
}

fn engine_permit(permit: &Permit) -> EnginePermit {
    let member = |member: &Member| GroupMember {
        id: PermitId::new(member.id.clone()),
        vehicle: member.vehicle.to_owned(),
        from: wall(member.from),
        to: wall(member.to),
        granted_at: wall(member.granted),
    };
    EnginePermit {
        id: PermitId::new(permit.id),
        right: RightCode::new(permit.right),
        zones: vec![ZoneCode::new(permit.zone)],
        from: wall(permit.from),
        to: wall(permit.to),
        granted_at: wall(permit.granted),
        status: match permit.status {
            "granted" => PermitStatus::Granted,
            "requested" => PermitStatus::Requested,
            "suspended" => PermitStatus::Suspended,
            _ => PermitStatus::Refused,
        },
        windows: permit.hours.into_iter().map(window).collect(),
        group: permit.group.as_ref().map(|(places, others)| QuotaGroup {
            places: u16::try_from(*places).unwrap(),
            others: others.iter().map(member).collect(),
        }),
    }
}

/// The engine's input of one passage.
pub(crate) fn input(
    case: &Case,
    read: &Read,
    candidates: &[(&'static str, i64)],
    warnings: &[(&'static str, i64)],
) -> ZbtInput {
    let kind = match case.plate {
        "taxi" => PlateKind::Taxi,
        "trailer" => PlateKind::Trailer,
        _ => PlateKind::Standard,
    };
    let list = |code: &str| match code {
        "Z-BIKE" => ListKind::Bicycle,
        "Z-SERV" => ListKind::Service,
        "Z-PRIO" => ListKind::Priority,
        "Z-PT" => ListKind::PublicTransport,
        "Z-MIL" => ListKind::Military,
        _ => ListKind::Taxi,
    };
    let prior = |(zone, at): &(&str, i64)| PriorPassage { zone: ZoneCode::new(*zone), at: wall(*at) };
    ZbtInput {
        zone: ZoneCode::new(read.zone),
        passage: match read.pass {
            Pass::Entry => Passage::Entry { at: wall(read.at) },
            Pass::Exit => Passage::Exit { at: wall(read.at) },
            Pass::Stay(left) => Passage::Stay { entered_at: wall(read.at), left_at: wall(left) },
        },
        country: Country::BELGIUM,
        reading: PlateReading { kind, corrected: false, country_sure: true, auto_accept: true, confirmed: false },
        listings: case
            .listings
            .iter()
            .map(|(code, from, to)| Listing { list: list(code), from: wall(*from), to: to.map(wall) })
            .collect(),
        permits: case.permits.iter().map(engine_permit).collect(),
        history: ZbtHistory {
            candidates: candidates.iter().map(prior).collect(),
            warnings: warnings.iter().map(prior).collect(),
        },
        decided_at: wall(read.decided),
    }
}
