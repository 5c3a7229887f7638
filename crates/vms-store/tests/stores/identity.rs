use uuid::Uuid;
use vms_app::identity::machines::MachineCertificate;
use vms_app::identity::model::AccountNotice;
use vms_app::identity::oidc::Link;
use vms_app::identity::{Factor, FactorKind, IdentityStore as _};
use vms_app::ports::{AccountStore as _, OrgStore as _, SessionStore as _, StoreError};
use vms_core::{Profile, SessionId, UserId};
use vms_store::Store;

use crate::suite::{account_of, at, org_of, session_of};

fn factor_of(n: u8, user: UserId, kind: FactorKind, credential: Option<&str>) -> Factor {
    Factor {
        id: Uuid::from_bytes([n; 16]),
        user,
        kind,
        name: format!("factor {n}"),
        material: vec![0, 255, n],
        credential: credential.map(str::to_owned),
        counter: -1,
        created_at: at(i64::from(n)),
        confirmed_at: None,
        used_at: None,
    }
}

pub(crate) async fn second_factors_are_used_once(store: &Store) {
    let org = store.org_put(&org_of(1)).await.unwrap();
    let (one, two) = (account_of(1, org), account_of(2, org));
    for account in [&one, &two] {
        store.account_insert(account).await.unwrap();
    }
    let code = factor_of(1, one.id, FactorKind::Totp, None);
    let key = factor_of(2, one.id, FactorKind::WebAuthn, Some("abc"));
    store.factor_insert(&code).await.unwrap();
    store.factor_insert(&key).await.unwrap();
    assert_eq!(store.factor_list(one.id).await.unwrap(), [code.clone(), key.clone()]);
    let twin = factor_of(3, two.id, FactorKind::WebAuthn, Some("abc"));
    assert!(matches!(store.factor_insert(&twin).await, Err(StoreError::Taken(_))), "one key, one account");
    assert!(!store.factor_any(one.id).await.unwrap(), "unproven ones open nothing");

    for (counter, or_equal, wanted) in
        [(7, false, true), (7, false, false), (6, false, false), (7, true, true), (8, false, true)]
    {
        assert_eq!(store.factor_use(code.id, counter, or_equal, at(50 + counter)).await.unwrap(), wanted, "{counter}");
    }
    assert!(store.factor_any(one.id).await.unwrap() && !store.factor_any(two.id).await.unwrap());
    let proven = &store.factor_list(one.id).await.unwrap()[0];
    assert_eq!((proven.confirmed_at, proven.used_at, proven.counter), (Some(at(57)), Some(at(58)), 8));

    let hash = |n: u8| format!("{n:064}");
    store.recovery_replace(one.id, &[hash(1), hash(2), hash(3)], at(60)).await.unwrap();
    for (user, n, wanted) in [(one.id, 1, true), (one.id, 1, false), (two.id, 2, false), (one.id, 9, false)] {
        assert_eq!(store.recovery_use(user, &hash(n), at(61)).await.unwrap(), wanted);
    }
    assert_eq!(store.recovery_left(one.id).await.unwrap(), 2);
    store.recovery_replace(one.id, &[hash(4)], at(62)).await.unwrap();
    assert_eq!(store.recovery_left(one.id).await.unwrap(), 1, "old ones are dead");

    assert!(!store.factor_delete(two.id, key.id).await.unwrap(), "only one's own");
    assert!(store.factor_delete(one.id, key.id).await.unwrap());
    assert_eq!(store.factor_clear(one.id).await.unwrap(), 1);
    assert_eq!(store.recovery_left(one.id).await.unwrap(), 0);

    let session = session_of(1, one.id);
    store.session_insert(&session).await.unwrap();
    store.session_factor(session.id, at(70), true).await.unwrap();
    store.session_factor(session.id, at(71), false).await.unwrap();
    // A new token at every authentication: the old one opens nothing, and of two at once one counts.
    let old = session.token_hash.clone();
    assert!(store.session_renew(session.id, &old, &hash(21)).await.unwrap());
    assert!(!store.session_renew(session.id, &old, &hash(22)).await.unwrap());
    assert_eq!(store.session_by_token(&old).await.unwrap(), None);
    assert_eq!(store.session_by_token(&hash(21)).await.unwrap().map(|found| found.id), Some(session.id));
    assert!(store.session_renew(session.id, &hash(21), &old).await.unwrap());
    store.session_profile(session.id, Profile::P04).await.unwrap();
    let found = store.session_fetch(SessionId::from_bytes([1; 16])).await.unwrap().unwrap();
    assert_eq!((found.factor_at, found.hard_at, found.profile), (Some(at(71)), Some(at(70)), Profile::P04));
    store.session_insert(&session_of(2, one.id)).await.unwrap();
    store.session_insert(&session_of(4, two.id)).await.unwrap();
    let ids = |list: Vec<vms_app::model::Session>| list.into_iter().map(|session| session.id).collect::<Vec<_>>();
    let (first, second) = (session.id, SessionId::from_bytes([2; 16]));
    assert_eq!(ids(store.session_list(one.id).await.unwrap()).len(), 2);
    store.session_end(second, at(80)).await.unwrap();
    assert_eq!(ids(store.session_list(one.id).await.unwrap()), [first], "open ones of this account");
    assert!(store.session_list(two.id).await.unwrap()[0].certificate.is_some());
}

pub(crate) async fn links_and_certificates_belong_to_one_account(store: &Store) {
    let org = store.org_put(&org_of(1)).await.unwrap();
    let (one, two) = (account_of(1, org), account_of(2, org));
    for account in [&one, &two] {
        store.account_insert(account).await.unwrap();
    }
    let link = |user, issuer: &str, subject: &str| Link { user, issuer: issuer.into(), subject: subject.into() };
    store.link_put(&link(one.id, "https://a", "x"), at(1)).await.unwrap();
    assert!(matches!(store.link_put(&link(two.id, "https://a", "x"), at(2)).await, Err(StoreError::Taken(_))));
    store.link_put(&link(two.id, "https://b", "x"), at(2)).await.unwrap();
    store.link_put(&link(one.id, "https://a", "y"), at(3)).await.unwrap();
    for (issuer, subject, wanted) in [
        ("https://a", "x", None),
        ("https://a", "y", Some(one.id)),
        ("https://b", "x", Some(two.id)),
        ("https://b", "y", None),
    ] {
        assert_eq!(store.link_user(issuer, subject).await.unwrap(), wanted, "{issuer} {subject}");
    }
    assert_eq!(store.link_list("https://a").await.unwrap(), [link(one.id, "https://a", "y")]);
    store.link_delete(one.id, "https://b").await.unwrap();
    assert_eq!(store.link_user("https://a", "y").await.unwrap(), Some(one.id), "only that provider's");
    store.link_delete(one.id, "https://a").await.unwrap();
    assert_eq!(store.link_user("https://a", "y").await.unwrap(), None);

    let certificate = MachineCertificate {
        fingerprint: "ab".repeat(32),
        user: one.id,
        name: "gateway".into(),
        made_at: at(1),
        ends_at: at(100),
        revoked_at: None,
        used_at: None,
    };
    store.machine_insert(&certificate).await.unwrap();
    let twin = MachineCertificate { user: two.id, ..certificate.clone() };
    assert!(matches!(store.machine_insert(&twin).await, Err(StoreError::Taken(_))), "one certificate, one account");
    assert_eq!(store.machine_list(one.id).await.unwrap(), std::slice::from_ref(&certificate));
    store.machine_used(&certificate.fingerprint, at(5)).await.unwrap();
    assert!(!store.machine_revoke(two.id, &certificate.fingerprint, at(6)).await.unwrap(), "only one's own");
    assert!(store.machine_revoke(one.id, &certificate.fingerprint, at(6)).await.unwrap());
    assert!(!store.machine_revoke(one.id, &certificate.fingerprint, at(7)).await.unwrap(), "once");
    let found = store.machine_find(&certificate.fingerprint).await.unwrap().unwrap();
    assert_eq!((found.used_at, found.revoked_at), (Some(at(5)), Some(at(6))));
    assert!(
        matches!(store.machine_insert(&certificate).await, Err(StoreError::Taken(_))),
        "taken back is never undone"
    );
    assert!(store.machine_find(&"cd".repeat(32)).await.unwrap().is_none());

    let notice = |second, what: &str| AccountNotice { at: at(second), what: what.into() };
    for (user, second, what) in [(one.id, 1, "a"), (one.id, 3, "b"), (two.id, 2, "c")] {
        store.account_notice_insert(user, &notice(second, what)).await.unwrap();
    }
    assert_eq!(store.account_notice_list(one.id).await.unwrap(), [notice(3, "b"), notice(1, "a")]);
    store.account_notice_seen(one.id, at(2)).await.unwrap();
    assert_eq!(store.account_notice_list(one.id).await.unwrap(), [notice(3, "b")]);
    assert_eq!(store.account_notice_list(two.id).await.unwrap(), [notice(2, "c")]);
}
