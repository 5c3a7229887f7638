use super::*;
use crate::matrix::EMBEDDED;
use crate::table::{MatrixError, Table};

fn with(row: &str, cells: &str) -> Result<Table, MatrixError> {
    let head = "version='x'\nvalid_from='2026-01-01'\nsource='test'\n";
    Table::parse(&format!("{head}[[row]]\nright='{row}'\nsource='s'\ncells=[{cells}]"))
}

#[test]
fn the_shipped_matrix_keeps_every_rule() {
    assert_eq!(Table::read(EMBEDDED).unwrap().check(), Ok(()));
}

/// Each rule has cells that break it, and a neighbour that does not.
#[test]
#[expect(clippy::too_many_lines, reason = "one table of all rules")]
fn each_rule_refuses_what_breaks_it() {
    use Rule as R;
    for (rule, right, breaks, keeps) in [
        (R::AdministratorsDoNotLook, "live", "{profile='P17',own='yes'}", "{profile='P01',own='yes'}"),
        (R::AdministratorsDoNotLook, "audit.view", "{profile='P18',own='yes'}", "{profile='P02',own='yes'}"),
        (R::AdministratorsDoNotLook, "matrix.approve", "{profile='P18',own='yes'}", "{profile='P03',own='yes'}"),
        (
            R::AdministratorsDoNotLook,
            "camera.test_picture",
            "{profile='P17',own='justification case notify_owner'}",
            "{profile='P17',own='justification case masked notify_owner'}",
        ),
        (
            R::ApproverIsAnother,
            "export",
            "{profile='P02',own='justification case age_max_days=30'}",
            "{profile='P02',own='justification second_person age_max_days=30'}",
        ),
        (R::ApproverIsAnother, "export.approve", "{profile='P03',shared='yes'}", "{profile='P03',own='yes'}"),
        (R::OverseersDoNotOperate, "live", "{profile='P21',own='yes'}", "{profile='P12',own='yes'}"),
        (R::OverseersDoNotOperate, "camera.edit", "{profile='P20',own='yes'}", "{profile='P17',own='yes'}"),
        (R::LogIsOnlyRead, "audit.technical", "{profile='P17',own='yes'}", "{profile='P17',own='read_only'}"),
        (
            R::BreakGlassIsReviewed,
            "break_glass",
            "{profile='P01',other='justification notify_owner'}",
            "{profile='P02',other='justification notify_owner'}",
        ),
        (
            R::BreakGlassIsReviewed,
            "break_glass",
            "{profile='P02',other='justification'}",
            "{profile='P02',other='justification notify_owner'}",
        ),
        (
            R::FilesOnly,
            "reads.search",
            "{profile='P07',own='justification age_max_days=1'}",
            "{profile='P02',own='justification age_max_days=1'}",
        ),
        (R::FilesOnly, "fine.file", "{profile='P08',own='flow'}", "{profile='P08',own='flow own_file'}"),
        (
            R::EventsOpenTheRest,
            "event.activate",
            "{profile='P02',own='case notify_owner'}",
            "{profile='P16',own='case notify_owner'}",
        ),
        (
            R::EventsOpenTheRest,
            "live",
            "{profile='P02',other='justification'}",
            "{profile='P02',other='event justification notify_owner'}",
        ),
        (
            R::EventsOpenTheRest,
            "playback",
            "{profile='P02',other='event justification notify_owner age_max_days=1'}",
            "{profile='P02',shared='event justification notify_owner age_max_days=1'}",
        ),
        (R::MachinesApart, "anpr.decode", "{profile='P01',own='yes'}", "{profile='P24',own='yes'}"),
        (R::MachinesApart, "live", "{profile='P24',own='yes'}", "{profile='P01',own='yes'}"),
        (
            R::MachinesApart,
            "statistics.deliver",
            "{profile='P11',own='aggregated'}",
            "{profile='P24',own='aggregated'}",
        ),
        (R::MachinesApart, "statistics.view", "{profile='P24',own='aggregated'}", "{profile='P11',own='aggregated'}"),
        (R::PurposeIsCarried, "live", "{profile='P01',shared='yes'}", "{profile='P01',shared='justification'}"),
        (
            R::PurposeIsCarried,
            "playback",
            "{profile='P01',own='age_max_days=2'}",
            "{profile='P01',own='justification age_max_days=2'}",
        ),
        (
            R::FirstTerm,
            "playback",
            "{profile='P04',own='justification age_max_days=31'}",
            "{profile='P04',own='justification magistrate_after_days=30 age_max_days=31'}",
        ),
        (
            R::FirstTerm,
            "playback",
            "{profile='P04',own='justification'}",
            "{profile='P04',own='justification age_max_days=1'}",
        ),
    ] {
        let MatrixError::Separation(broken) = with(right, breaks).unwrap_err() else { panic!("{right} {breaks}") };
        assert!(broken.iter().any(|one| one.rule == rule), "{right} {breaks}: {broken:?}");
        assert!(MatrixError::Separation(broken).to_string().contains(rule.name()));
        assert_eq!(with(right, keeps).map(|_| ()), Ok(()), "{right} {keeps}");
    }
}

#[test]
fn who_asks_and_who_approves_are_two_profiles() {
    for (asks, approves) in APART {
        let head = "version='x'\nvalid_from='2026-01-01'\nsource='test'\n";
        let cell = "justification case second_person notify_owner age_max_days=1";
        let row = |right: Right, profile: &str, cell: &str| {
            format!("[[row]]\nright='{right}'\nsource='s'\ncells=[{{profile='{profile}',own='{cell}'}}]\n")
        };
        let one = format!("{head}{}{}", row(*asks, "P02", cell), row(*approves, "P02", "yes"));
        let two = format!("{head}{}{}", row(*asks, "P02", cell), row(*approves, "P03", "yes"));
        assert!(matches!(Table::parse(&one), Err(MatrixError::Separation(_))), "{asks} {approves}");
        assert_eq!(Table::parse(&two).map(|_| ()), Ok(()), "{asks} {approves}");
    }
}

/// Rule 4 is held by the language itself: there is no word for altering or erasing the log.
#[test]
fn no_word_alters_the_log() {
    let words: Vec<&str> =
        Right::ALL.iter().map(|right| right.as_str()).filter(|word| word.starts_with("audit.")).collect();
    let reading = ["view", "persons", "technical", "config", "admin", "count", "export", "verify", "prove"];
    for word in words {
        assert!(reading.iter().any(|end| word == format!("audit.{end}")), "{word} is not a way of reading");
    }
}

mod random {
    use proptest::prelude::*;

    use super::*;

    const WORDS: [&str; 12] = [
        "yes",
        "justification",
        "justification case second_person age_max_days=30",
        "event justification notify_owner",
        "justification masked",
        "justification age_max_days=31",
        "justification magistrate_after_days=30 age_max_days=365",
        "own_file read_only",
        "read_only",
        "aggregated",
        "age_max_days=1",
        "second_person notify_owner",
    ];

    /// Puts `cell` at profile and relation of a right's row, in the text as a person would edit it.
    fn edit(text: &str, right: Right, profile: Profile, relation: Relation, cell: &str) -> String {
        let mut raw: toml::Table = toml::from_str(text).unwrap();
        let rows = raw.get_mut("row").unwrap().as_array_mut().unwrap();
        let row = rows.iter_mut().find(|row| row["right"].as_str() == Some(right.as_str()));
        let Some(row) = row else { return text.to_owned() };
        let cells = row.as_table_mut().unwrap().get_mut("cells").unwrap().as_array_mut().unwrap();
        let known = cells.iter_mut().find(|cell| cell["profile"].as_str() == Some(profile.as_str()));
        if let Some(known) = known {
            known.as_table_mut().unwrap().insert(relation.to_string(), cell.into());
        } else {
            let mut fresh = toml::Table::new();
            fresh.insert("profile".into(), profile.to_string().into());
            fresh.insert(relation.to_string(), cell.into());
            cells.push(fresh.into());
        }
        toml::to_string(&raw).unwrap()
    }

    /// The rules once more, said the other way round: what is true of every matrix that can come into force.
    fn keeps_the_rules(table: &Table) -> Result<(), TestCaseError> {
        let lacks = |profiles: &[Profile], rights: &[Right]| {
            table.cells().all(|((profile, right, _), _)| !(profiles.contains(&profile) && rights.contains(&right)))
        };
        let pictures = [Right::Live, Right::Playback, Right::Export, Right::Unmask, Right::Ptz];
        let plates = [Right::ReadsLive, Right::ReadsSearch, Right::PlateHistory, Right::WatchlistEdit];
        use Profile as P;
        prop_assert!(lacks(&[P::P17, P::P18, P::P20, P::P21, P::P22], &pictures));
        prop_assert!(lacks(&[P::P17, P::P18, P::P20, P::P21, P::P22], &plates));
        prop_assert!(lacks(&[P::P07, P::P08, P::P09, P::P10], &pictures));
        prop_assert!(lacks(&[P::P07, P::P08, P::P09, P::P10], &plates));
        prop_assert!(lacks(&[P::P17, P::P18], &[Right::AuditView, Right::AuditPersons, Right::AuditExport]));
        prop_assert!(lacks(&[P::P24], &[Right::Live, Right::AuditView, Right::UserAdmin, Right::MatrixApprove]));
        for profile in Profile::ALL {
            let rights = table.rights_of(*profile);
            prop_assert!(!(rights.contains(&Right::Export) && rights.contains(&Right::ExportApprove)));
            prop_assert!(!(rights.contains(&Right::WatchlistEdit) && rights.contains(&Right::WatchlistApprove)));
            prop_assert!(!(rights.contains(&Right::MatrixPropose) && rights.contains(&Right::MatrixApprove)));
            prop_assert!(*profile == P::P02 || !rights.contains(&Right::BreakGlass));
            prop_assert!(*profile == P::P16 || !rights.contains(&Right::EventActivate));
        }
        for ((profile, right, relation), cell) in table.cells() {
            let text = crate::cell_text(cell);
            if right == Right::Export {
                prop_assert!(text.contains("second_person"), "{profile} exports alone: {text}");
            }
            if [Right::Playback, Right::Export, Right::ReadsSearch].contains(&right) {
                prop_assert!(text.contains("justification") && text.contains("age_max_days="), "{profile}: {text}");
                prop_assert!(relation != Relation::Other, "{profile} sees the past of what nobody shared");
            }
            if right == Right::Live && relation == Relation::Other {
                prop_assert!(text.contains("event") && text.contains("notify_owner"), "{profile}: {text}");
            }
        }
        Ok(())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn no_reachable_matrix_breaks_a_rule(
            edits in prop::collection::vec(
                (0..Profile::ALL.len(), 0..Right::ALL.len(), 0..3usize, 0..WORDS.len()), 1..12),
        ) {
            let mut text = EMBEDDED.to_owned();
            for (profile, right, relation, word) in edits {
                let next = edit(&text, Right::ALL[right], Profile::ALL[profile], Relation::ALL[relation], WORDS[word]);
                match Table::parse(&next) {
                    Ok(table) => {
                        keeps_the_rules(&table)?;
                        text = next;
                    }
                    Err(MatrixError::Separation(broken)) => {
                        prop_assert!(!broken.is_empty());
                        for one in broken {
                            prop_assert!(one.to_string().contains("rule") || one.to_string().contains("term"));
                        }
                    }
                    Err(other) => return Err(TestCaseError::fail(other.to_string())),
                }
            }
        }
    }
}
