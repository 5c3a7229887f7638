//! Viewers: admitted, refused, ended.

use super::*;

#[tokio::test]
async fn without_the_right_capability_not_one_byte_leaves() {
    let dir = tempfile::tempdir().unwrap();
    let rig = Rig::start(dir.path()).await;
    let mut ingest = rig.assign(2, false).await;
    send(&mut ingest, &film(1, 0..100, 25)).await;
    acked(&mut ingest, 1, 40).await;
    let foreign = CapabilitySigner::from_seed(&[8; 32]);
    let wide = span(0, 10);
    let good = |scope| rig.capability(scope, 15_000);
    let sign = |capability: &Capability| rig.gate.sign(capability);
    let scopes = [Scope::Live, Scope::Range(wide)];
    for (scope, other) in [(scopes[0], scopes[1]), (scopes[1], scopes[0])] {
        let past = WallTime::from_micros(rig.clock.wall().micros - 20_000_000);
        let expired = Capability { issued_at: past, expires_at: past.plus(Duration::from_secs(5)), ..good(scope) };
        let narrow = Scope::Range(span(0, 5));
        let narrower = Capability { scope: if scope == Scope::Live { other } else { narrow }, ..good(scope) };
        let table = [
            (String::new(), "capability_malformed"),
            (foreign.sign(&good(scope)), "capability_foreign"),
            (sign(&expired), "capability_expired"),
            (sign(&Capability { audience: Audience::Reader, ..good(scope) }), "capability_wrong_audience"),
            (sign(&Capability { stream: stream(2), ..good(scope) }), "capability_out_of_scope"),
            (sign(&Capability { rendition: Rendition::Coarse, ..good(scope) }), "capability_out_of_scope"),
            (sign(&Capability { scope: other, ..good(scope) }), "capability_out_of_scope"),
            (sign(&narrower), "capability_out_of_scope"),
            (sign(&Capability { scope: Scope::Reads, ..good(scope) }), "capability_out_of_scope"),
            (sign(&rig.capability(scope, 16_000)), "capability_too_long"),
            (sign(&Capability { standing: true, ..good(scope) }), "capability_standing"),
        ];
        for (capability, wanted) in table {
            let request = match scope {
                Scope::Live => Control::OpenLive {
                    capability,
                    stream: stream(1).to_string(),
                    rendition: "original".to_owned(),
                    form: LiveForm::Units,
                },
                Scope::Range(range) => Control::OpenRange {
                    capability,
                    stream: stream(1).to_string(),
                    from_us: range.from.micros,
                    to_us: range.to.micros,
                },
                Scope::Reads => unreachable!("the recorder is asked for footage"),
            };
            let mut stranger = rig.connect(Role::Serve).await;
            let answer = stranger.ask(request).await.unwrap();
            assert!(matches!(&answer, Control::Refused { code, .. } if code == wanted), "{wanted}: {answer:?}");
            let bytes = read(&mut stranger, 0, u64::MAX).await;
            assert!(matches!(bytes, Err(Control::Refused { code, .. }) if code == "not_open"));
        }
    }
    // No footage at all is told apart only with a valid capability; a reader may use a standing one.
    let mut viewer = rig.connect(Role::Serve).await;
    let answer = viewer.ask(rig.open_range(span(1_000, 1_010))).await.unwrap();
    assert!(matches!(answer, Control::Refused { code, .. } if code == "no_footage"));
    let standing = Capability { standing: true, ..rig.capability(Scope::Live, 60_000_000) };
    let mut reader = rig.connect(Role::Reader).await;
    let request = Control::OpenLive {
        capability: rig.gate.sign(&standing),
        stream: stream(1).to_string(),
        rendition: "original".to_owned(),
        form: LiveForm::Units,
    };
    let answer = reader.ask(request).await.unwrap();
    assert!(matches!(answer, Control::ParameterSets { .. }), "{answer:?}");
    // Only serve manages.
    let mut gateway = rig.connect(Role::Gateway).await;
    for request in [Control::Info, Control::Health, Control::Revoke { decision: String::new() }] {
        let answer = gateway.ask(request).await.unwrap();
        assert!(matches!(answer, Control::Refused { code, .. } if code == "not_allowed"));
    }
    rig.end().await;
}

/// Reads live messages until `End`: fragments, init segments, and why it ended.
async fn watch(viewer: &mut Link) -> (Vec<link::LiveFragment>, Vec<Bytes>, String) {
    let (mut fragments, mut inits) = (Vec::new(), Vec::new());
    let work = async {
        loop {
            match viewer.receiver.recv().await.unwrap() {
                Message::Fragment(fragment) => fragments.push(fragment),
                Message::Bytes(init) => inits.push(init),
                Message::Unit(..) => panic!("not asked for"),
                Message::Control(control) => {
                    if let Control::End { why, .. } = *control {
                        return why;
                    }
                }
            }
        }
    };
    let why = tokio::time::timeout(Duration::from_secs(60), work).await.unwrap();
    (fragments, inits, why)
}

#[tokio::test]
async fn a_live_stream_plays_and_ends_with_its_capability() {
    let dir = tempfile::tempdir().unwrap();
    let rig = Rig::start(dir.path()).await;
    let mut ingest = rig.assign(1, false).await;
    let units = film(1, 0..60, 25);
    send(&mut ingest, &units[..30]).await;
    acked(&mut ingest, 1, 20).await;
    let mut viewer = rig.connect(Role::Serve).await;
    let begun = tokio::time::Instant::now();
    viewer.sender.send(rig.open_live(3_000, LiveForm::Fmp4)).await.unwrap();
    send(&mut ingest, &units[30..]).await;
    let capability = rig.gate.sign(&rig.capability(Scope::Live, 4_500));
    viewer.sender.send(Control::Renew { capability }).await.unwrap();
    let (fragments, inits, why) = watch(&mut viewer).await;
    let lasted = begun.elapsed();
    assert_eq!(why, "capability_expired");
    // It outlives the first capability; the end is bounded widely, since other builds may share the machine.
    assert!(lasted > Duration::from_millis(4_200) && lasted < Duration::from_secs(12), "{lasted:?}");
    // From the last key frame before the opening to the end, every frame once.
    let film: Vec<u8> = inits.iter().chain(fragments.iter().map(|f| &f.boxes)).flat_map(|b| b.to_vec()).collect();
    assert!(fragments[0].is_key && inits.len() == 1);
    assert_eq!(mdats(&film), payload(&units[25..]));
    if let Some(frames) = ffprobe_frames(&film) {
        assert_eq!(frames, 35);
    }
    // The connection is of use again; a revocation ends the stream at once, and keeps it ended.
    viewer.sender.send(rig.open_live(15_000, LiveForm::Fmp4)).await.unwrap();
    let mut serve = rig.connect(Role::Serve).await;
    let decision = DecisionId::from_bytes([1; 16]).to_string();
    assert_eq!(serve.ask(Control::Revoke { decision }).await.unwrap(), Control::Done);
    let ended = tokio::time::timeout(Duration::from_secs(5), async {
        loop {
            match viewer.receiver.recv().await {
                Ok(Message::Control(control)) if matches!(*control, Control::End { .. } | Control::Refused { .. }) => {
                    return;
                }
                Ok(_) => {}
                Err(_) => return,
            }
        }
    });
    ended.await.unwrap();
    let mut again = rig.connect(Role::Serve).await;
    let answer = again.ask(rig.open_live(15_000, LiveForm::Fmp4)).await.unwrap();
    assert!(matches!(answer, Control::Refused { code, .. } if code == "revoked"));
    rig.end().await;
}

#[tokio::test]
async fn an_on_demand_stream_is_pulled_only_while_somebody_watches() {
    let dir = tempfile::tempdir().unwrap();
    let rig = Rig::start(dir.path()).await;
    let mut ingest = rig.assign(1, true).await;
    let wanted = async |ingest: &mut Link| {
        let wait = async {
            loop {
                if let Control::Demand { on, .. } = ingest.receiver.recv_control().await.unwrap() {
                    return on;
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(5), wait).await.unwrap()
    };
    let mut viewers = Vec::new();
    for _ in 0..2 {
        let mut viewer = rig.connect(Role::Serve).await;
        viewer.sender.send(rig.open_live(15_000, LiveForm::Units)).await.unwrap();
        viewers.push(viewer);
    }
    assert!(wanted(&mut ingest).await);
    // An ingest process that comes back is told again.
    drop(ingest);
    let mut ingest = rig.ingest().await;
    assert!(wanted(&mut ingest).await);
    // Nothing of it is recorded, everything is acknowledged.
    send(&mut ingest, &film(1, 0..30, 25)).await;
    acked(&mut ingest, 1, 29).await;
    drop(viewers);
    assert!(!wanted(&mut ingest).await);
    let mut viewer = rig.connect(Role::Serve).await;
    let answer = viewer.ask(rig.open_range(span(0, 10))).await.unwrap();
    assert!(matches!(answer, Control::Refused { code, .. } if code == "no_footage"));
    rig.end().await;
}

#[tokio::test]
async fn a_gateway_relays_and_records_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let rig = Rig::start_with(dir.path(), |config| {
        config.origin = Origin::Gateway;
        config.ballast_bytes = 0;
    })
    .await;
    let streams = vec![StreamSpec { retention_class: String::new(), ..spec(1, true) }, spec(2, false)];
    let assignment = Assignment { version: 1, streams, allowed_networks: vec![], allowed_ports: vec![] };
    let mut serve = rig.connect(Role::Serve).await;
    assert_eq!(serve.ask(Control::GatewayAssign(assignment)).await.unwrap(), Control::Done);
    let mut ingest = rig.ingest().await;
    let sets = Control::ParameterSets { stream: stream(2).to_string(), sets: sets().as_ref().into() };
    ingest.sender.send(sets).await.unwrap();
    for unit in film(1, 0..60, 25) {
        ingest.sender.push(&Message::Unit(stream(2), unit));
    }
    ingest.sender.flush().await.unwrap();
    acked(&mut ingest, 1, 59).await;
    // A recorder's capability is of no use here, a gateway's is.
    let open = |audience, number| Control::OpenLive {
        capability: rig.gate.sign(&Capability {
            audience,
            stream: stream(number),
            ..rig.capability(Scope::Live, 15_000)
        }),
        stream: stream(number).to_string(),
        rendition: "original".to_owned(),
        form: LiveForm::Units,
    };
    let answer = serve.ask(open(Audience::Recorder, 2)).await.unwrap();
    assert!(matches!(answer, Control::Refused { code, .. } if code == "capability_wrong_audience"));
    let mut got = Vec::new();
    serve.sender.send(open(Audience::Gateway, 2)).await.unwrap();
    while got.len() < 10 {
        if let Message::Unit(_, unit) = serve.receiver.recv().await.unwrap() {
            got.push(unit);
        }
    }
    assert_eq!(got, film(1, 50..60, 25));
    rig.end().await;
    let media = std::fs::read_dir(dir.path().join("media")).unwrap();
    assert_eq!(media.count(), 0);
}

#[tokio::test]
async fn it_starts_from_its_kept_assignment_with_credentials_opened() {
    let dir = tempfile::tempdir().unwrap();
    let rig = Rig::start(dir.path()).await;
    let mut serve = rig.connect(Role::Serve).await;
    let info = serve.ask(Control::Info).await.unwrap();
    let Control::RecorderInfo { seal_key, .. } = info else { panic!("{info:?}") };
    let sealed = crate::sealbox::seal(&seal_key, b"operator:s:e").unwrap();
    let streams = vec![StreamSpec { sealed_credentials: Some(sealed.clone()), ..spec(1, false) }];
    let assignment = Assignment { version: 5, streams, allowed_networks: vec![], allowed_ports: vec![] };
    assert_eq!(serve.ask(Control::Assign(assignment.clone())).await.unwrap(), Control::Done);
    let older = serve.ask(Control::Assign(Assignment { version: 4, ..assignment })).await.unwrap();
    assert!(matches!(older, Control::Refused { code, .. } if code == "stale"));
    rig.end().await;
    let kept = std::fs::read_to_string(dir.path().join("assignment.json")).unwrap();
    assert!(!kept.contains("s:e") && kept.contains(&sealed));
    let rig = Rig::start(dir.path()).await;
    let mut ingest = rig.connect(Role::Ingest).await;
    let order = ingest.receiver.recv_control().await.unwrap();
    let Control::IngestAssign { version, credentials, streams, .. } = order else { panic!("{order:?}") };
    assert_eq!((version, streams[0].sealed_credentials.as_ref()), (5, None));
    assert_eq!(credentials, [Some(("operator".to_owned(), "s:e".to_owned()))]);
    let mut serve = rig.connect(Role::Serve).await;
    let report = serve.ask(Control::Health).await.unwrap();
    let Control::HealthReport { streams, .. } = report else { panic!("{report:?}") };
    assert_eq!((streams.len(), streams[0].durable_until_us), (1, None));
    rig.end().await;
}
