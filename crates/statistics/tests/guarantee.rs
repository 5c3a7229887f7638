//! What `docs/PRIVACY.md` promises, tried on generated traffic.

#[cfg(test)]
mod guarantee {
    use std::collections::{BTreeMap, BTreeSet};
    use std::time::Duration;

    use proptest::prelude::*;
    use statistics::counts::Minutes;
    use statistics::datex::{Places, Publisher, measured, sites};
    use statistics::travel::Sample;
    use statistics::{
        Counter, Detector, Figure, Keyring, Offer, Pass, Route, RouteCode, Site, SiteCode, Taken, TravelTime,
        counts_api,
    };
    use vms_core::{Country, Plate, WallTime};

    /// 2026-11-21T22:00:00Z, a full hour.
    const START: i64 = 1_795_298_400;

    fn site() -> Site {
        let detector = |lane| Detector { name: format!("AB<{lane}>"), lane };
        Site {
            code: SiteCode::new("AB_1"),
            name_nl: "Brug & kaai".to_owned(),
            name_fr: "Pont \"et\" quai".to_owned(),
            name_en: "Bridge".to_owned(),
            orientation_deg: 90,
            longitude_e6: 4_351_697,
            latitude_e6: -50_084,
            detectors: vec![detector(1), detector(2)],
        }
    }

    /// Second, lane, vehicle.
    type Traffic = Vec<(i64, u8, u16)>;

    /// Every figure that anyone can ask for while an hour goes by, by interval, lane and start.
    type Seen = BTreeMap<(Minutes, Option<u8>, WallTime), Figure>;

    fn watch(offer: Offer, traffic: &Traffic) -> (Seen, Counter) {
        let site = site();
        let mut counter = Counter::new([(&site, offer)]);
        let (mut keys, mut seed, mut seen) = (Keyring::new(), 0_u8, Seen::new());
        let mut sorted = traffic.clone();
        sorted.sort_unstable();
        let mut next = sorted.into_iter().peekable();
        for second in 0..3_700 {
            let now = WallTime::from_secs(START + second);
            keys.turn(now, || {
                seed += 1;
                [seed; 32]
            });
            while let Some((_, lane, vehicle)) = next.next_if(|(at, _, _)| *at <= second) {
                let plate = Plate::parse(&format!("1AA{vehicle:04}")).unwrap();
                let token = keys.pseudonyms(&plate, Country::BELGIUM, now).unwrap().quarter;
                let pass = Pass { site: &site.code, lane, at: now, token, speed_kmh: Some(30 + u16::from(lane)) };
                assert_eq!(counter.take(&pass), Taken::Counted);
            }
            if second % 30 == 11 {
                counter.seal(now);
                for interval in Minutes::ALL {
                    for lane in [None, Some(1), Some(2)] {
                        if let Some(figure) = counter.figure(&site.code, lane, interval) {
                            let before = seen.insert((interval, lane, figure.from), figure);
                            assert!(before.is_none_or(|before| before == figure), "a published number changed");
                        }
                    }
                }
            }
        }
        (seen, counter)
    }

    /// Passes and different vehicles of a stretch, counted by hand.
    fn by_hand(traffic: &Traffic, lane: Option<u8>, from: i64, to: i64) -> (usize, usize) {
        let inside: Vec<_> = traffic
            .iter()
            .filter(|(at, on, _)| (from..to).contains(at) && lane.is_none_or(|lane| lane == *on))
            .collect();
        (inside.len(), inside.iter().map(|(_, _, vehicle)| vehicle).collect::<BTreeSet<_>>().len())
    }

    fn seconds(figure: &Figure) -> (i64, i64) {
        (figure.from.micros / 1_000_000 - START, figure.to.micros / 1_000_000 - START)
    }

    fn traffic() -> impl Strategy<Value = Traffic> {
        prop::collection::vec((0_i64..3_600, 1_u8..3, 0_u16..60), 0..700)
    }

    fn offer() -> impl Strategy<Value = Offer> {
        (proptest::sample::select(&Minutes::ALL[..]), any::<bool>())
            .prop_map(|(minutes, by_lane)| Offer { minutes, by_lane })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]

        #[test]
        fn every_number_is_a_sum_of_cells_of_five(traffic in traffic(), offer in offer()) {
            let (seen, _) = watch(offer, &traffic);
            for ((interval, lane, _), figure) in &seen {
                let (from, to) = seconds(figure);
                let (passes, _) = by_hand(&traffic, *lane, from, to);
                prop_assert_eq!(usize::try_from(figure.count).unwrap(), passes);
                prop_assert!(*interval >= offer.minutes);
                let lanes = match (offer.by_lane, lane) {
                    (true, None) => vec![Some(1), Some(2)],
                    (_, lane) => vec![*lane],
                };
                for start in (from..to).step_by(usize::try_from(offer.minutes.count() * 60).unwrap()) {
                    for lane in &lanes {
                        let cell = by_hand(&traffic, *lane, start, start + offer.minutes.count() * 60);
                        prop_assert!(cell.1 >= 5, "a cell of {cell:?} is in a published number");
                    }
                }
            }
        }

        #[test]
        fn no_difference_shows_a_small_cell(traffic in traffic(), offer in offer()) {
            let (seen, _) = watch(offer, &traffic);
            // Whatever is left of a larger number when smaller ones inside it are taken away is nothing, or five and more.
            for ((_, lane, _), large) in &seen {
                let (from, to) = seconds(large);
                for interval in Minutes::ALL {
                    let inside = |of: Option<u8>| seen.iter().filter(move |((minutes, lane, _), figure)| {
                        let (start, end) = seconds(figure);
                        *minutes == interval && *lane == of && from <= start && end <= to
                    });
                    for part in [*lane, Some(1), Some(2)] {
                        if lane.is_some() && part != *lane {
                            continue;
                        }
                        let taken: u32 = inside(part).map(|(_, figure)| figure.count).sum();
                        let left = large.count - taken;
                        prop_assert!(left == 0 || left >= 5, "{left} are left of {large:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn one_vehicle_many_times_is_one_vehicle() {
        let same: Traffic = (0..50).map(|n| (n, 1, 7)).collect();
        let four: Traffic = (0..50).map(|n| (n, 1, u16::try_from(n % 4).unwrap())).collect();
        let five: Traffic = (0..50).map(|n| (n, 1, u16::try_from(n % 5).unwrap())).collect();
        for (traffic, wanted) in [(same, 0), (four, 0), (five, 1)] {
            let (seen, _) = watch(Offer { minutes: Minutes::One, by_lane: true }, &traffic);
            // Of five: one minute of the lane. The whole site has an empty lane, so it shows nothing.
            assert_eq!(seen.len(), wanted);
        }
    }

    #[test]
    fn late_reads_change_nothing_and_strangers_are_not_counted() {
        let traffic: Traffic = (0..20).map(|n| (n, 1, u16::try_from(n).unwrap())).collect();
        let (_, mut counter) = watch(Offer { minutes: Minutes::One, by_lane: false }, &traffic);
        let mut keys = Keyring::new();
        keys.turn(WallTime::from_secs(START), || [1; 32]);
        let at = WallTime::from_secs(START + 3);
        let token = keys.pseudonyms(&Plate::parse("1ABC123").unwrap(), Country::BELGIUM, at).unwrap().quarter;
        let (here, other) = (SiteCode::new("AB_1"), SiteCode::new("CD_1"));
        let pass = |site, lane| Pass { site, lane, at, token, speed_kmh: None };
        assert_eq!(counter.take(&pass(&here, 1)), Taken::Late);
        assert_eq!(counter.take(&pass(&here, 3)), Taken::Unknown);
        assert_eq!(counter.take(&pass(&other, 1)), Taken::Unknown);
        let figure = counter.figure_of(&here, None, WallTime::from_secs(START), Minutes::One).unwrap();
        assert_eq!((figure.count, figure.speed_kmh), (20, Some(31)));
    }

    #[test]
    fn the_forms_hold_what_is_published_and_nothing_else() {
        let traffic: Traffic =
            (0..600).map(|n| (n * 6, 1 + u8::from(n % 2 == 0), u16::try_from(n % 60).unwrap())).collect();
        let (_, counter) = watch(Offer { minutes: Minutes::Fifteen, by_lane: true }, &traffic);
        let all = [site()];
        let devices = counts_api::devices(&all);
        assert_eq!(devices["features"][0]["properties"]["number_of_lanes"], 2);
        assert_eq!(devices["features"][0]["geometry"]["coordinates"].to_string(), "[4.351697,-0.050084]");
        let live = counts_api::live(&all, &counter, &Minutes::ALL);
        let results = &live["data"]["AB_1"]["results"];
        assert_eq!(results["1m"]["count"], serde_json::Value::Null);
        assert_eq!(results["1m"]["suppressed"], true);
        assert_eq!((&results["15m"]["count"], &results["60m"]["count"]), (&150.into(), &600.into()));
        assert_eq!(results["60m"]["end_time"], "2026-11-21T23:00:00Z");
        assert_eq!(live["data"]["AB_1"]["detectors"]["AB<1>"]["results"]["60m"]["count"], 300);
        let publisher = Publisher { country: "be".to_owned(), identifier: "<Belfry>".to_owned() };
        let at = WallTime::from_secs(START + 3_600);
        let route = |code: &str, to: &str| Route {
            code: RouteCode::new(code),
            from: SiteCode::new("AB_1"),
            to: SiteCode::new(to),
            shortest: Duration::from_secs(10),
            longest: Duration::from_secs(300),
        };
        let routes = [route("R<1>", "AB_1"), route("elsewhere", "CD_1")];
        let time = |route: &Route| TravelTime {
            route: route.code.clone(),
            from: WallTime::from_secs(START),
            to: WallTime::from_secs(START + 300),
            mean: Duration::from_secs(85),
            sample: Sample::Few,
        };
        let times = [time(&routes[0]), time(&routes[1])];
        let times: Vec<&TravelTime> = times.iter().collect();
        let places = Places { publisher: &publisher, sites: &all, routes: &routes, version: 1 };
        let data = measured(&places, &counter, &times, Minutes::Fifteen, at).unwrap();
        assert!(data.contains("<com:vehicleFlowRate>600</com:vehicleFlowRate>"), "{data}");
        assert!(data.contains("<com:speed>32</com:speed>"), "{data}");
        assert!(data.contains("id=\"route-R&lt;1&gt;\"") && data.contains("<roa:duration>85</roa:duration>"), "{data}");
        let only_times = measured(&places, &counter, &times, Minutes::One, at).unwrap();
        assert!(!only_times.contains("vehicleFlow") && !only_times.contains("numberOfInputValuesUsed"));
        assert_eq!(measured(&places, &counter, &[], Minutes::One, at), None);
        assert_eq!(sites(&Places { sites: &[], ..places }, at), None);
        let table = sites(&places, at).unwrap();
        assert!(!table.contains("elsewhere") && !data.contains("elsewhere"), "a route with an end that is not shown");
        for text in [data, only_times, table] {
            well_formed(&text);
        }
    }

    fn well_formed(text: &str) {
        let mut reader = quick_xml::Reader::from_str(text);
        let mut depth = 0_i32;
        loop {
            let event = reader.read_event().unwrap();
            if matches!(event, quick_xml::events::Event::Eof) {
                break;
            }
            depth += i32::from(matches!(event, quick_xml::events::Event::Start(_)));
            depth -= i32::from(matches!(event, quick_xml::events::Event::End(_)));
        }
        assert_eq!(depth, 0);
    }
}
