use vms_core::{Profile, Purpose, Relation, Rendition, Right};

use super::*;

const DAY_US: i64 = 86_400_000_000;
const WHY: &str = "brand in de Hoogstraat";

fn live(profile: Profile, relation: Relation) -> Request<'static> {
    Request::bare(profile, Right::Live, relation)
}

fn past(profile: Profile, relation: Relation, days: i64) -> Request<'static> {
    Request { age_us: days * DAY_US, ..Request::bare(profile, Right::Playback, relation) }
}

fn export(profile: Profile, relation: Relation) -> Request<'static> {
    Request { reads_only: false, ..Request::bare(profile, Right::Export, relation) }
}

fn why(asked: Request<'static>) -> Request<'static> {
    Request { purpose: Some(Purpose::Intervention), justification: Some(WHY), ..asked }
}

fn case(asked: Request<'static>) -> Request<'static> {
    Request { case_ref: Some("BR.11.L3.4711/2026"), ..asked }
}

fn two(asked: Request<'static>) -> Request<'static> {
    Request { has_second_person: true, ..asked }
}

fn missing(list: &[Requirement]) -> Decision {
    Decision::Missing(list.to_vec())
}

const YES: Decision = Decision::Allow(Obligations { notify_owner: false });
const TOLD: Decision = Decision::Allow(Obligations { notify_owner: true });

#[test]
fn video_is_decided_by_the_matrix() {
    use {DenyReason as D, Profile as P, Relation as R, Requirement as Q};
    let matrix = Matrix::embedded().unwrap();
    let poor = Request { justification: Some("aaaaaaaaaaaa"), ..why(live(P::P01, R::Shared)) };
    let event = |r: Request<'static>| Request { event_active: true, ..r };
    let coarse = |r: Request<'static>| Request { rendition: Rendition::Coarse, ..r };
    let judge = |r: Request<'static>| Request { magistrate_ref: Some("PK 2026/88"), ..r };
    for (asked, wanted) in [
        (live(P::P01, R::Own), YES),
        (live(P::P01, R::Shared), missing(&[Q::Purpose, Q::Justification])),
        (poor, missing(&[Q::Justification])),
        (why(live(P::P01, R::Shared)), YES),
        (why(live(P::P01, R::Other)), Decision::Deny(D::NotInTable)),
        (why(live(P::P02, R::Other)), Decision::Deny(D::NoEvent)),
        (event(why(live(P::P02, R::Other))), TOLD),
        (event(live(P::P02, R::Other)), missing(&[Q::Purpose, Q::Justification])),
        (live(P::P11, R::Own), Decision::Deny(D::OnlyMasked)),
        (coarse(live(P::P11, R::Own)), YES),
        (live(P::P13, R::Own), Decision::Deny(D::NoPoliceStation)),
        (Request { police_station: true, ..live(P::P13, R::Own) }, YES),
        (live(P::P17, R::Own), Decision::Deny(D::NotInTable)),
        (why(past(P::P01, R::Own, 2)), YES),
        (why(past(P::P01, R::Own, 3)), Decision::Deny(D::TooOld)),
        (why(past(P::P04, R::Own, 3)), missing(&[Q::Case])),
        (case(why(past(P::P04, R::Own, 30))), YES),
        (case(why(past(P::P04, R::Own, 31))), missing(&[Q::Magistrate])),
        (judge(case(why(past(P::P04, R::Own, 31)))), YES),
        (judge(case(why(past(P::P04, R::Own, 366)))), Decision::Deny(D::TooOld)),
        (judge(case(why(past(P::P02, R::Own, 31)))), Decision::Deny(D::TooOld)),
        (case(why(export(P::P02, R::Own))), missing(&[Q::SecondPerson])),
        (two(why(export(P::P02, R::Own))), missing(&[Q::Case])),
        (two(case(why(export(P::P02, R::Shared)))), TOLD),
        (two(case(why(Request { age_us: 31 * DAY_US, ..export(P::P04, R::Own) }))), missing(&[Q::Magistrate])),
        (two(case(why(export(P::P04, R::Shared)))), Decision::Deny(D::NotInTable)),
        (two(case(why(export(P::P01, R::Own)))), Decision::Deny(D::NotInTable)),
        (two(case(why(export(P::P03, R::Own)))), Decision::Deny(D::NotInTable)),
        (Request::bare(P::P03, Right::ExportApprove, R::Own), YES),
        (Request::bare(P::P03, Right::ExportApprove, R::Shared), Decision::Deny(D::NotInTable)),
    ] {
        assert_eq!(matrix.decide(&asked), wanted, "{asked:?}");
    }
}

#[test]
fn facts_of_the_moment_decide() {
    use {DenyReason as D, Profile as P, Relation as R, Requirement as Q};
    let matrix = Matrix::embedded().unwrap();
    let own = |profile, right| Request::bare(profile, right, R::Own);
    for (asked, wanted) in [
        (own(P::P01, Right::ReadsLive), Decision::Deny(D::NotOwnTerritory)),
        (Request { own_territory: true, ..own(P::P01, Right::ReadsLive) }, YES),
        (own(P::P07, Right::FineFile), Decision::Deny(D::NotOwnFile)),
        (Request { own_file: true, ..own(P::P07, Right::FineFile) }, YES),
        (Request { own_file: true, reads_only: false, ..own(P::P07, Right::FineFile) }, Decision::Deny(D::ReadOnly)),
        (Request { own_file: true, ..own(P::P08, Right::FineFile) }, Decision::Deny(D::FlowInactive)),
        (Request { own_file: true, flow_active: true, reads_only: false, ..own(P::P08, Right::FineFile) }, YES),
        (own(P::P11, Right::StatisticsView), Decision::Deny(D::OnlyAggregated)),
        (Request { aggregated: true, ..own(P::P11, Right::StatisticsView) }, YES),
        (Request { suspended: true, ..live(P::P01, R::Own) }, Decision::Deny(D::Suspended)),
        (Request { suspended: true, ..live(P::P05, R::Own) }, Decision::Deny(D::NotInTable)),
        (Request { suspended: true, ..own(P::P21, Right::AuditView) }, YES),
        (
            why(Request { age_us: 31 * DAY_US, ..case(own(P::P04, Right::ReadsSearch)) }),
            missing(&[Q::SecondPerson, Q::Magistrate]),
        ),
        (
            why(case(Request { age_us: 7 * DAY_US + 1, ..two(own(P::P02, Right::PlateHistory)) })),
            Decision::Deny(D::TooOld),
        ),
    ] {
        assert_eq!(matrix.decide(&asked), wanted, "{asked:?}");
    }
}

#[test]
fn an_explanation_names_cell_conditions_and_source() {
    let matrix = Matrix::embedded().unwrap();
    let asked = case(export(Profile::P02, Relation::Own));
    let said = matrix.explain(&asked);
    assert_eq!(said.cell, "P02/export/own");
    assert!(said.source.as_deref().unwrap().contains("H3 Export"));
    assert_eq!(
        said.decided_by,
        ["P02/export/own/justification", "P02/export/own/purpose", "P02/export/own/second_person"]
    );
    let unmet: Vec<String> = said.conditions.iter().filter(|c| !c.met).map(|c| c.condition.to_string()).collect();
    assert_eq!(unmet, ["justification", "second_person"]);
    assert_eq!(matrix.explain(&live(Profile::P01, Relation::Own)).decided_by, ["P01/live/own"]);
    assert_eq!(matrix.explain(&live(Profile::P05, Relation::Own)).text, None);
}
