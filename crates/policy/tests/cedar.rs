//! What the matrix compiles to: valid against its schema in strict mode, readable back, and the same as its slices.

use cedar_policy::{PolicySet, Schema, ValidationMode, Validator};
use policy::{Decision, DenyReason, Matrix, Request};
use vms_core::{Profile, Purpose, Relation, Rendition, Right};

#[test]
fn the_compiled_text_keeps_its_schema_in_strict_mode() {
    let matrix = Matrix::embedded().unwrap();
    let (schema, warnings) = Schema::from_cedarschema_str(&Matrix::cedar_schema()).unwrap();
    assert_eq!(warnings.count(), 0);
    let result = Validator::new(schema).validate(&matrix.cedar_set().unwrap(), ValidationMode::Strict);
    let said: Vec<String> = result.validation_errors().map(ToString::to_string).collect();
    assert_eq!(said, Vec::<String>::new());
    assert!(result.validation_passed_without_warnings(), "{result:?}");
    // The validator sees what it should: an attribute that is not there, and a profile that is not one.
    let (schema, _) = Schema::from_cedarschema_str(&Matrix::cedar_schema()).unwrap();
    let validator = Validator::new(schema);
    for wrong in ["context.age_days < 1", "principal == Belfry::Profile::\"P99\""] {
        let text = format!("permit (principal, action == Belfry::Action::\"live\", resource) when {{ {wrong} }};");
        assert!(!validator.validate(&text.parse::<PolicySet>().unwrap(), ValidationMode::Strict).validation_passed());
    }
}

#[test]
fn the_printed_text_is_the_matrix() {
    let matrix = Matrix::embedded().unwrap();
    let printed: PolicySet = matrix.cedar_text().parse().unwrap();
    let set = matrix.cedar_set().unwrap();
    assert_eq!(printed.num_of_policies(), set.num_of_policies());
    let permits = printed.policies().filter(|policy| policy.effect() == cedar_policy::Effect::Permit).count();
    assert_eq!(permits, matrix.cells().count(), "one permit per cell");
    let mut ids: Vec<&str> = printed.policies().filter_map(|policy| policy.annotation("id")).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), set.num_of_policies(), "every policy has a name of its own");
    assert!(
        printed
            .policies()
            .filter(|policy| policy.effect() == cedar_policy::Effect::Permit)
            .all(|policy| { policy.annotation("source").is_some_and(|source| source.contains("domain.md")) })
    );
}

#[test]
fn a_slice_answers_as_the_whole_does() {
    let matrix = Matrix::embedded().unwrap();
    let whole = matrix.cedar_set().unwrap();
    let mut asked = 0;
    for profile in Profile::ALL {
        for right in Right::ALL {
            for (nth, relation) in Relation::ALL.iter().enumerate() {
                let bare = Request::bare(*profile, *right, *relation);
                let full = Request {
                    rendition: Rendition::Coarse,
                    purpose: Some(Purpose::Audit),
                    justification: Some("controle van een klacht"),
                    case_ref: Some("K-2026/17"),
                    has_second_person: nth == 0,
                    age_us: 86_400_000_000 * 31,
                    event_active: true,
                    own_territory: true,
                    suspended: nth == 2,
                    ..bare
                };
                for request in [bare, full] {
                    // Cedar looks at every policy of the whole; only what exists is worth that.
                    if matrix.cell(*profile, *right, *relation).is_none() {
                        assert_eq!(matrix.decide(&request), Decision::Deny(DenyReason::NotInTable));
                        continue;
                    }
                    assert_eq!(matrix.decide_by(&whole, &request), matrix.decide(&request), "{request:?}");
                    asked += 1;
                }
            }
        }
    }
    assert_eq!(asked, 2 * matrix.cells().count());
}

/// Cedar leaves a policy out that it can't evaluate, so an error could open a door: any error is a no.
#[test]
fn an_error_in_the_policies_never_grants() {
    let matrix = Matrix::embedded().unwrap();
    let asked = Request::bare(Profile::P01, Right::Live, Relation::Own);
    assert!(matrix.decide(&asked).is_allow());
    let mut set = matrix.cedar_set().unwrap();
    let broken = "forbid (principal, action, resource) when { context.not_there };";
    let id = cedar_policy::PolicyId::new("broken");
    set.add(cedar_policy::Policy::parse(Some(id), broken).unwrap()).unwrap();
    assert_eq!(matrix.decide_by(&set, &asked), Decision::Deny(DenyReason::Fault));
    // A yes by a policy that is no cell's is a no, too.
    let stray = "permit (principal, action, resource);";
    let mut set = PolicySet::new();
    set.add(cedar_policy::Policy::parse(Some(cedar_policy::PolicyId::new("stray")), stray).unwrap()).unwrap();
    assert_eq!(matrix.decide_by(&set, &asked), Decision::Deny(DenyReason::Fault));
}
