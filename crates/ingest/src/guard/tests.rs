use futures_util::FutureExt as _;

use super::*;

/// Names that the tests know; everything else has no address.
struct Names;

impl Resolver for Names {
    fn lookup<'a>(&'a self, name: &'a str, _port: u16) -> BoxFuture<'a, Vec<IpAddr>> {
        let texts: &[&str] = match name {
            "cam-12.zone.example" => &["10.20.0.7"],
            "two.zone.example" => &["10.20.0.7", "2a02:578:8000:1::9"],
            "mixed.zone.example" => &["10.20.0.7", "127.0.0.1"],
            "mixed-out.zone.example" => &["10.20.0.7", "93.184.216.34"],
            "localhost" => &["127.0.0.1", "::1"],
            "metadata.zone.example" => &["169.254.169.254"],
            "out.zone.example" => &["93.184.216.34"],
            "mapped.zone.example" => &["::ffff:10.20.0.7"],
            "many.zone.example" => &["10.20.0.7"; 17],
            _ => &[],
        };
        let found = texts.iter().map(|text| text.parse().expect("a test address should parse")).collect();
        async move { found }.boxed()
    }
}

fn guard() -> UrlGuard {
    let networks = ["10.20.0.0/16", "192.168.7.0/24", "2a02:578:8000::/40", "fd12:3456::/32"];
    UrlGuard::new(&networks.map(str::to_owned), &[(554, 554), (322, 322), (8554, 8560)])
        .expect("the networks should parse")
}

fn pin(guard: &UrlGuard, url: &str) -> Result<PinnedUrl, Refusal> {
    guard.pin(url, &Names).now_or_never().expect("the test resolver should not wait")
}

#[test]
fn proper_addresses_are_pinned() {
    for (url, address, rebuilt) in [
        ("rtsp://10.20.0.7/main", "10.20.0.7:554", "rtsp://10.20.0.7:554/main"),
        ("rtsp://10.20.0.7:554/main", "10.20.0.7:554", "rtsp://10.20.0.7:554/main"),
        ("rtsp://10.20.255.254:8554/a/b?c=d&e=f", "10.20.255.254:8554", "rtsp://10.20.255.254:8554/a/b?c=d&e=f"),
        ("RTSP://10.20.0.7", "10.20.0.7:554", "rtsp://10.20.0.7:554/"),
        ("rtsp://10.20.0.7?stream=1", "10.20.0.7:554", "rtsp://10.20.0.7:554/?stream=1"),
        ("rtsps://10.20.0.7/x", "10.20.0.7:322", "rtsps://10.20.0.7:322/x"),
        ("rtsp://192.168.7.1:8560/", "192.168.7.1:8560", "rtsp://192.168.7.1:8560/"),
        ("rtsp://[2a02:578:8000:1::9]/x", "[2a02:578:8000:1::9]:554", "rtsp://[2a02:578:8000:1::9]:554/x"),
        ("rtsp://[fd12:3456::1]:8554/x", "[fd12:3456::1]:8554", "rtsp://[fd12:3456::1]:8554/x"),
        ("rtsp://cam-12.zone.example/x", "10.20.0.7:554", "rtsp://10.20.0.7:554/x"),
        ("rtsp://CAM-12.Zone.Example/x", "10.20.0.7:554", "rtsp://10.20.0.7:554/x"),
        ("rtsp://two.zone.example/x", "10.20.0.7:554", "rtsp://10.20.0.7:554/x"),
        ("rtsp://10.20.0.7/a@b:c", "10.20.0.7:554", "rtsp://10.20.0.7:554/a@b:c"),
        ("rtsp://10.20.0.7/a%20b", "10.20.0.7:554", "rtsp://10.20.0.7:554/a%20b"),
    ] {
        let pinned = pin(&guard(), url).unwrap_or_else(|refusal| panic!("{url}: {refusal}"));
        assert_eq!((pinned.address.to_string().as_str(), pinned.url.as_str()), (address, rebuilt));
        fuzz_camera_url(url.as_bytes());
    }
}

const SCHEME: Refusal = Refusal::Scheme;
const CHARACTERS: Refusal = Refusal::Characters;
const CREDENTIALS: Refusal = Refusal::Credentials;
const HOST: Refusal = Refusal::Host;
const PORT: Refusal = Refusal::Port;
const CLASS: Refusal = Refusal::Class;
const NETWORK: Refusal = Refusal::Network;
const NO_ADDRESS: Refusal = Refusal::NoAddress;

/// `reliability.md` 7.2: S1 loopback and numbers in every spelling, S2 link-local and metadata, S3 own services, S4 names
/// with several answers, S6 credentials and characters, S7 what parsers disagree about.
const REFUSED: &[(&str, Refusal)] = &[
    // Schemes.
    ("", SCHEME),
    ("10.20.0.7", SCHEME),
    ("//10.20.0.7/x", SCHEME),
    ("rtsp:10.20.0.7", SCHEME),
    ("rtsp:/10.20.0.7/x", SCHEME),
    ("http://10.20.0.7/x", SCHEME),
    ("https://10.20.0.7/x", SCHEME),
    ("rtspu://10.20.0.7/x", SCHEME),
    ("rtspt://10.20.0.7/x", SCHEME),
    ("rtsph://10.20.0.7/x", SCHEME),
    ("file:///etc/passwd", SCHEME),
    ("exec:ffmpeg", SCHEME),
    ("exec://10.20.0.7/x", SCHEME),
    ("echo://10.20.0.7/x", SCHEME),
    ("ftp://10.20.0.7/x", SCHEME),
    ("gopher://10.20.0.7/x", SCHEME),
    ("unix:///run/belfry/recorder.sock", SCHEME),
    ("rtsp+http://10.20.0.7/x", SCHEME),
    ("://10.20.0.7/x", SCHEME),
    ("view-source:rtsp://10.20.0.7/x", SCHEME),
    // Characters.
    (" rtsp://10.20.0.7/x", CHARACTERS),
    ("rtsp://10.20.0.7/x ", CHARACTERS),
    ("rtsp://10.20.0.7 /x", CHARACTERS),
    ("rtsp://10.20.0.7/a b", CHARACTERS),
    ("rtsp://10.20.0.7/x\r\nHost: other", CHARACTERS),
    ("rtsp://10.20.0.7/x\n", CHARACTERS),
    ("rtsp://10.20.0.7\t/x", CHARACTERS),
    ("rt\tsp://10.20.0.7/x", CHARACTERS),
    ("rtsp://10.20.0.7\0/x", CHARACTERS),
    ("rtsp:\\\\10.20.0.7\\x", CHARACTERS),
    ("rtsp://10.20.0.7\\@127.0.0.1/x", CHARACTERS),
    ("rtsp://10.20.0.7/x#fragment", CHARACTERS),
    ("rtsp://10.20.0.7#@127.0.0.1/", CHARACTERS),
    ("rtsp://10.20.0.7/\u{7f}", CHARACTERS),
    ("rtsp://10.20.0.7/é", CHARACTERS),
    ("rtsp://１０.20.0.7/x", CHARACTERS),
    ("rtsp://①②⑦.⓪.⓪.①/x", CHARACTERS),
    ("rtsp://10。20。0。7/x", CHARACTERS),
    ("rtsp://cam\u{200b}.zone.example/x", CHARACTERS),
    ("rtsp://10.20.0.7/\"x\"", CHARACTERS),
    ("rtsp://10.20.0.7/<x>", CHARACTERS),
    ("rtsp://10.20.0.7/`id`", CHARACTERS),
    ("rtsp://10.20.0.7/x|id", CHARACTERS),
    ("rtsp://10.20.0.7/{x}", CHARACTERS),
    ("rtsp://10.20.0.7/x%0d%0aDESCRIBE", CHARACTERS),
    ("rtsp://10.20.0.7/x%00", CHARACTERS),
    ("rtsp://10.20.0.7/x%7F", CHARACTERS),
    ("rtsp://10.20.0.7/x%", CHARACTERS),
    ("rtsp://10.20.0.7/x%2", CHARACTERS),
    ("rtsp://10.20.0.7/x%zz", CHARACTERS),
    ("rtsp://10.20.0.7?a=%0a", CHARACTERS),
    // Credentials in the address.
    ("rtsp://user@10.20.0.7/x", CREDENTIALS),
    ("rtsp://user:pass@10.20.0.7/x", CREDENTIALS),
    ("rtsp://:pass@10.20.0.7/x", CREDENTIALS),
    ("rtsp://@10.20.0.7/x", CREDENTIALS),
    ("rtsp://10.20.0.7@127.0.0.1/x", CREDENTIALS),
    ("rtsp://a@b@10.20.0.7/x", CREDENTIALS),
    ("rtsp://10.20.0.7:554@127.0.0.1:554/x", CREDENTIALS),
    ("rtsp://user%40x:y@10.20.0.7/x", CREDENTIALS),
    // Hosts that are no plain name or address.
    ("rtsp:///x", HOST),
    ("rtsp://", HOST),
    ("rtsp://:554/x", HOST),
    ("rtsp://?x", HOST),
    ("rtsp://2130706433/x", HOST),
    ("rtsp://167772167/x", HOST),
    ("rtsp://0x7f000001/x", HOST),
    ("rtsp://0x7f.0.0.1/x", HOST),
    ("rtsp://0X7F.1/x", HOST),
    ("rtsp://0177.0.0.1/x", HOST),
    ("rtsp://017700000001/x", HOST),
    ("rtsp://127.1/x", HOST),
    ("rtsp://127.0.1/x", HOST),
    ("rtsp://10.1/x", HOST),
    ("rtsp://0/x", HOST),
    ("rtsp://0.0/x", HOST),
    ("rtsp://010.020.000.007/x", HOST),
    ("rtsp://10.20.0.07/x", HOST),
    ("rtsp://10.20.0.256/x", HOST),
    ("rtsp://10.20.0.0x7/x", HOST),
    ("rtsp://10.20.0.7.1/x", HOST),
    ("rtsp://10.20.0.7./x", HOST),
    ("rtsp://.10.20.0.7/x", HOST),
    ("rtsp://10..20.0.7/x", HOST),
    ("rtsp://localhost./x", HOST),
    ("rtsp://cam-12.zone.example./x", HOST),
    ("rtsp://.zone.example/x", HOST),
    ("rtsp://zone..example/x", HOST),
    ("rtsp://-cam.zone.example/x", HOST),
    ("rtsp://cam-.zone.example/x", HOST),
    ("rtsp://cam_12.zone.example/x", HOST),
    ("rtsp://cam%2e.zone.example/x", HOST),
    ("rtsp://10%2e20.0.7/x", HOST),
    ("rtsp://%31%30.20.0.7/x", HOST),
    ("rtsp://cam,12.zone.example/x", HOST),
    ("rtsp://(10.20.0.7)/x", HOST),
    ("rtsp://10.20.0.7;x/y", HOST),
    ("rtsp://$HOME/x", HOST),
    ("rtsp://cam.zone.1example/x", HOST),
    ("rtsp://cam.zone.0x10/x", HOST),
    ("rtsp://[::1/x", HOST),
    ("rtsp://::1/x", HOST),
    ("rtsp://2a02:578:8000:1::9/x", HOST),
    ("rtsp://[10.20.0.7]/x", HOST),
    ("rtsp://[fe80::1%25eth0]/x", HOST),
    ("rtsp://[fe80::1%eth0]/x", HOST),
    ("rtsp://[::1]x/y", HOST),
    ("rtsp://[::1]]/y", HOST),
    ("rtsp://[[::1]]/y", HOST),
    ("rtsp://[]/y", HOST),
    ("rtsp://[v1.x]/y", HOST),
    ("rtsp://[::ffff:0x7f.1]/y", HOST),
    ("rtsp://10.20.0.7:554:554/x", HOST),
    // Ports.
    ("rtsp://10.20.0.7:/x", PORT),
    ("rtsp://10.20.0.7:0/x", PORT),
    ("rtsp://10.20.0.7:0554/x", PORT),
    ("rtsp://10.20.0.7:+554/x", PORT),
    ("rtsp://10.20.0.7:-1/x", PORT),
    ("rtsp://10.20.0.7:554x/x", PORT),
    ("rtsp://10.20.0.7:65536/x", PORT),
    ("rtsp://10.20.0.7:66090/x", PORT),
    ("rtsp://10.20.0.7:4294967850/x", PORT),
    ("rtsp://10.20.0.7:22/x", PORT),
    ("rtsp://10.20.0.7:5432/x", PORT),
    ("rtsp://10.20.0.7:9000/x", PORT),
    ("rtsp://10.20.0.7:8561/x", PORT),
    ("rtsp://[2a02:578:8000:1::9]:443/x", PORT),
    // Classes that are never dialled.
    ("rtsp://127.0.0.1/x", CLASS),
    ("rtsp://127.255.255.254/x", CLASS),
    ("rtsp://localhost/x", CLASS),
    ("rtsp://LOCALHOST/x", CLASS),
    ("rtsp://0.0.0.0/x", CLASS),
    ("rtsp://0.1.2.3/x", CLASS),
    ("rtsp://169.254.169.254/latest/meta-data", CLASS),
    ("rtsp://169.254.1.1/x", CLASS),
    ("rtsp://metadata.zone.example/x", CLASS),
    ("rtsp://100.100.100.200/x", CLASS),
    ("rtsp://224.0.0.251/x", CLASS),
    ("rtsp://239.255.255.250/x", CLASS),
    ("rtsp://240.0.0.1/x", CLASS),
    ("rtsp://255.255.255.255/x", CLASS),
    ("rtsp://192.88.99.1/x", CLASS),
    ("rtsp://[::1]/x", CLASS),
    ("rtsp://[0:0:0:0:0:0:0:1]/x", CLASS),
    ("rtsp://[::]/x", CLASS),
    ("rtsp://[::ffff:127.0.0.1]/x", CLASS),
    ("rtsp://[::ffff:10.20.0.7]/x", CLASS),
    ("rtsp://[::ffff:a14:7]/x", CLASS),
    ("rtsp://[::10.20.0.7]/x", CLASS),
    ("rtsp://[::127.0.0.1]/x", CLASS),
    ("rtsp://[::ffff:0:10.20.0.7]/x", CLASS),
    ("rtsp://[2002:7f00:1::]/x", CLASS),
    ("rtsp://[2002:a14:7::1]/x", CLASS),
    ("rtsp://[2001::1]/x", CLASS),
    ("rtsp://[2001:0:7f00:1::1]/x", CLASS),
    ("rtsp://[64:ff9b::10.20.0.7]/x", CLASS),
    ("rtsp://[64:ff9b:1::a14:7]/x", CLASS),
    ("rtsp://[fe80::1]/x", CLASS),
    ("rtsp://[febf::1]/x", CLASS),
    ("rtsp://[fec0::1]/x", CLASS),
    ("rtsp://[ff02::1]/x", CLASS),
    ("rtsp://[fd00:ec2::254]/x", CLASS),
    ("rtsp://[2a02:578:8000:1:0:5efe:a14:7]/x", CLASS),
    ("rtsp://[2a02:578:8000:1:200:5efe:a14:7]/x", CLASS),
    ("rtsp://mapped.zone.example/x", CLASS),
    ("rtsp://mixed.zone.example/x", CLASS),
    // Everything outside the list: own services on other networks, the internet.
    ("rtsp://10.21.0.7/x", NETWORK),
    ("rtsp://10.19.255.255/x", NETWORK),
    ("rtsp://192.168.8.1/x", NETWORK),
    ("rtsp://172.16.0.1/x", NETWORK),
    ("rtsp://93.184.216.34/x", NETWORK),
    ("rtsp://1.1.1.1/x", NETWORK),
    ("rtsp://100.64.0.1/x", NETWORK),
    ("rtsp://198.18.0.1/x", NETWORK),
    ("rtsp://[2a02:579::1]/x", NETWORK),
    ("rtsp://[fd13::1]/x", NETWORK),
    ("rtsp://[2606:4700::1]/x", NETWORK),
    ("rtsp://out.zone.example/x", NETWORK),
    ("rtsp://mixed-out.zone.example/x", NETWORK),
    // Names without an address, or with too many.
    ("rtsp://nobody.zone.example/x", NO_ADDRESS),
    ("rtsp://127.0.0.1.nip.example/x", NO_ADDRESS),
    ("rtsp://0x7f000001.zone.example/x", NO_ADDRESS),
    ("rtsp://xn--cam-12-zone.example/x", NO_ADDRESS),
    ("rtsp://many.zone.example/x", NO_ADDRESS),
];

#[test]
fn the_corpus_is_refused_for_the_right_reason() {
    assert!(REFUSED.len() >= 120, "{}", REFUSED.len());
    let guard = guard();
    for (url, wanted) in REFUSED {
        assert_eq!(pin(&guard, url).unwrap_err(), *wanted, "{url}");
        fuzz_camera_url(url.as_bytes());
    }
}

#[test]
fn long_addresses_are_refused() {
    for (url, wanted) in [
        (format!("rtsp://10.20.0.7/{}", "a".repeat(URL_LEN_MAX)), CHARACTERS),
        (format!("rtsp://{}.example/x", "a".repeat(64)), HOST),
        (format!("rtsp://{}example/x", "a.".repeat(130)), HOST),
    ] {
        assert_eq!(pin(&guard(), &url).unwrap_err(), wanted);
    }
}

#[test]
fn loopback_counts_only_where_somebody_wrote_it() {
    let ports = [(554, 554)];
    for (network, url, wanted) in [
        ("0.0.0.0/0", "rtsp://127.0.0.1/x", Some(CLASS)),
        ("0.0.0.0/0", "rtsp://169.254.169.254/x", Some(CLASS)),
        ("0.0.0.0/0", "rtsp://10.20.0.7/x", None),
        ("126.0.0.0/7", "rtsp://127.0.0.1/x", Some(CLASS)),
        ("127.0.0.0/8", "rtsp://127.0.0.1/x", None),
        ("127.0.0.1/32", "rtsp://127.0.0.1/x", None),
        ("127.0.0.1/32", "rtsp://127.0.0.2/x", Some(CLASS)),
        ("::/0", "rtsp://[::1]/x", Some(CLASS)),
        ("::1/128", "rtsp://[::1]/x", None),
        ("::/0", "rtsp://[::ffff:10.20.0.7]/x", Some(CLASS)),
        ("169.254.0.0/16", "rtsp://169.254.1.1/x", Some(CLASS)),
        ("224.0.0.0/4", "rtsp://224.0.0.1/x", Some(CLASS)),
    ] {
        let guard = UrlGuard::new(&[network.to_owned()], &ports).unwrap();
        assert_eq!(pin(&guard, url).err(), wanted, "{network} {url}");
    }
}

#[test]
fn a_broken_configuration_allows_nothing() {
    for (network, ports) in
        [("10.0.0.0/33", (1, 2)), ("camera-net", (1, 2)), ("10.0.0.0/8", (2, 1)), ("10.0.0.0/8", (0, 5))]
    {
        assert_eq!(UrlGuard::new(&[network.to_owned()], &[ports]), Err(Refusal::Configuration));
    }
    assert_eq!(pin(&UrlGuard::default(), "rtsp://10.20.0.7/x").unwrap_err(), PORT);
    let guard = guard();
    for (address, allowed) in [("10.20.0.7:554", true), ("10.20.0.7:555", false), ("10.21.0.7:554", false)] {
        assert_eq!(guard.allows(address.parse().unwrap()), allowed);
    }
}
