//! A camera that sends one message without end: the process stays small and the camera beside it loses nothing.

#[cfg(test)]
#[expect(dead_code, reason = "the tests of the role use what this one does not")]
mod common;

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use common::{Rig, camera};
use ingest::Memory;
use link::{Cause, StreamSpec};
use tokio::time::Instant;
use vms_core::StreamUse;

/// What the process may gain. A session is hung up on past 2 MiB; memory is looked at between two turns of it, and for a moment a
/// buffer stands beside its larger copy. Without the bound it is some hundred MiB in the second and a half that opening may take.
const GAIN_MAX: i64 = 96 << 20;

#[derive(Clone, Copy, Debug)]
enum Hostile {
    /// One header line without an end.
    Line,
    /// Header lines without an end.
    Lines,
    /// A body of 4 GiB that really comes.
    Body,
    /// A good camera until it plays, then a message without an end between two pictures.
    MidStream(SocketAddr),
}

fn serve(kind: Hostile) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("its address");
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || drop(attack(kind, stream)));
        }
    });
    address
}

fn attack(kind: Hostile, mut client: TcpStream) -> std::io::Result<()> {
    let (head, chunk): (&str, &[u8]) = match kind {
        Hostile::Line => ("X-Endless: ", &[b'a'; 64]),
        Hostile::Lines => ("", b"X-One-More: of many\r\n"),
        Hostile::Body => ("Content-Type: application/sdp\r\nContent-Length: 4294967295\r\n\r\n", &[b'v'; 64]),
        Hostile::MidStream(camera) => {
            play(&client, camera)?;
            ("X-Endless: ", &[b'a'; 64])
        }
    };
    if !matches!(kind, Hostile::MidStream(_)) {
        assert!(client.read(&mut [0; 1_024])? > 0, "a request comes first");
    }
    client.write_all(format!("RTSP/1.0 200 OK\r\nCSeq: 1\r\n{head}").as_bytes())?;
    let flood = chunk.repeat(4_096);
    loop {
        client.write_all(&flood)?;
    }
}

/// Passes on between the client and a good camera until 100 kB of it have come and it is between two packets.
fn play(client: &TcpStream, camera: SocketAddr) -> std::io::Result<()> {
    let mut server = TcpStream::connect(camera)?;
    let (mut from, mut to) = (client.try_clone()?, server.try_clone()?);
    std::thread::spawn(move || std::io::copy(&mut from, &mut to).ok());
    let (mut seen, mut to) = (0, client.try_clone()?);
    loop {
        let mut first = [0];
        server.read_exact(&mut first)?;
        to.write_all(&first)?;
        if first != *b"$" {
            // An answer: byte by byte is fine, there are few.
            continue;
        }
        let mut channel = [0];
        server.read_exact(&mut channel)?;
        let mut length = [0; 2];
        server.read_exact(&mut length)?;
        let mut body = vec![0; usize::from(u16::from_be_bytes(length))];
        server.read_exact(&mut body)?;
        to.write_all(&channel)?;
        to.write_all(&length)?;
        to.write_all(&body)?;
        seen += body.len();
        if seen > 100_000 {
            return server.shutdown(Shutdown::Both);
        }
    }
}

fn address_of(url: &str) -> SocketAddr {
    url.split('/').nth(2).and_then(|address| address.parse().ok()).expect("an address of the simulator")
}

// The flood runs on threads of its own; ingest, and the simulator that plays the neighbour, each get one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_without_end_costs_little_memory_and_no_neighbour_a_frame() {
    let memory = Arc::new(Memory::open().unwrap());
    for name in ["line", "lines", "body", "mid stream"] {
        let rig = Rig::start(vec![camera(), camera()]).await;
        let kind = match name {
            "line" => Hostile::Line,
            "lines" => Hostile::Lines,
            "body" => Hostile::Body,
            _ => Hostile::MidStream(address_of(&rig.server.url(1, StreamUse::Main))),
        };
        let address = serve(kind);
        let mut recorder = rig.recorder().await;
        let own = rig.spec(1);
        let path = own.url.splitn(4, '/').nth(3).unwrap().to_owned();
        let hostile = StreamSpec { url: format!("rtsp://{address}/{path}"), ..own };
        let before = memory.resident();
        let peak = Arc::new(AtomicI64::new(before));
        let sampling = tokio::spawn({
            let (memory, peak) = (Arc::clone(&memory), Arc::clone(&peak));
            async move {
                loop {
                    peak.fetch_max(memory.resident(), Ordering::Relaxed);
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            }
        });
        recorder.assign(&[hostile, rig.spec(2)]).await;
        // In a debug build a message is read so slowly that a time-out may come before the bound: memory is what counts here.
        let cause = recorder.cause(1).await;
        assert!(matches!(cause, Cause::Malformed | Cause::Unreachable | Cause::Silent), "{name}: {cause:?}");
        // It comes back again and again meanwhile.
        let until = Instant::now() + Duration::from_secs(2);
        let mut seen = recorder.units(2, 20).await;
        while Instant::now() < until {
            seen.extend(recorder.units(2, 10).await);
        }
        let counters: Vec<u64> = seen.iter().map(|one| one.counter).collect();
        assert!(counters.windows(2).all(|pair| pair[1] == pair[0] + 1), "{name}: {counters:?}");
        sampling.abort();
        let gained = peak.load(Ordering::Relaxed) - before;
        println!("{name}: gained {} KiB at most", gained >> 10);
        assert!(gained < GAIN_MAX, "{name}: {gained} bytes");
        rig.stop().await;
    }
}
