//! A name that changes between the check of its address and the connection, with a name server of its own.
#![cfg(target_os = "linux")]

use std::io::Write as _;
use std::net::Ipv4Addr;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::net::UdpSocket;
use tokio::task::JoinSet;
use towpath_engine::pipeline::Settlement;
use towpath_tests::guest::Guest;
use towpath_tests::rig::{Rig, one_route};
use towpath_tests::target::Target;

/// Set by those who know that this test cannot run, and take that.
const WITHOUT: &str = "TOWPATH_TEST_NO_NAMESPACES";

/// The network of a process of its own, in which nothing but the test's own name server is asked: not the caching daemons of systemd and
/// glibc either, whose sockets are files.
const SET_UP: &str = r#"
    set -e
    ip link set lo up
    for folder in /run/systemd/resolve /run/nscd; do
        if [ -d "$folder" ]; then mount -t tmpfs none "$folder"; fi
    done
    # A link into one of them leads nowhere now.
    if [ -L /etc/resolv.conf ] && [ ! -e /etc/resolv.conf ]; then : > "$(readlink -f /etc/resolv.conf)"; fi
    mount --bind "$1" /etc/resolv.conf
    if [ -e /etc/nsswitch.conf ]; then mount --bind "$2" /etc/nsswitch.conf; fi
    exec "$3" --exact "$4" --nocapture
"#;

const CURE: &str = "this test needs namespaces for networks and mounts, and they are not allowed here. In Docker, use \
    `--security-opt seccomp=unconfined --security-opt apparmor=unconfined`; on Ubuntu, \
    `sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0`, or run it as root; elsewhere, see `sysctl user.max_user_namespaces`. To \
    leave DNS rebinding untested, set TOWPATH_TEST_NO_NAMESPACES=1 (not in CI)";

/// Set where the test runs in a network and with a name server of its own.
const INSIDE: &str = "TOWPATH_TEST_REBINDING";

/// Public, and out of reach in a network that has nothing but itself.
const OUTSIDE: Ipv4Addr = Ipv4Addr::new(93, 184, 216, 34);

/// Says what the name is at each question for an IPv4 address.
type Script = fn(usize) -> Vec<Ipv4Addr>;

#[test]
fn a_name_that_is_another_address_at_each_look_never_leads_inside() {
    if env(INSIDE) {
        tokio::runtime::Runtime::new().unwrap().block_on(inside());
        return;
    }
    // Root needs no namespace of users, and may not be allowed one.
    let ways: [&[&str]; 2] = [&["--mount", "--net"], &["--map-root-user", "--mount", "--net"]];
    let mut refused = String::new();
    let allowed = ways.into_iter().find(|way| {
        let tried = Command::new("unshare").args(*way).args(["mount", "-t", "tmpfs", "none", "/tmp"]).output();
        let tried = tried.expect("unshare (util-linux) is installed");
        refused += &String::from_utf8_lossy(&tried.stderr);
        tried.status.success()
    });
    let Some(way) = allowed else {
        assert!(env(WITHOUT) && !env("CI"), "{CURE}: {refused}");
        return;
    };
    let file = |text: &str| {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        file
    };
    let resolver = file("nameserver 127.0.0.1\noptions timeout:1 attempts:1\n");
    let switch = file("hosts: files dns\n");
    let mut command = Command::new("unshare");
    command.args(way).args(["sh", "-c", SET_UP, "sh"]).args([resolver.path(), switch.path()]);
    command.arg(std::env::current_exe().unwrap());
    command.arg(concat!("rebinding::", "a_name_that_is_another_address_at_each_look_never_leads_inside"));
    let output = command.env(INSIDE, "1").output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && said.contains("1 passed"),
        "are ip (iproute2) and mount (util-linux) installed? {said}"
    );
}

#[expect(clippy::disallowed_methods, reason = "it tells two runs of one test apart")]
fn env(name: &str) -> bool {
    std::env::var_os(name).is_some()
}

async fn inside() {
    let target = Target::fine().await;
    let port = target.url.trim_end_matches('/').rsplit(':').next().unwrap().to_owned();
    let cases: [(&str, bool, Script, bool); 4] = [
        // So it would be reached.
        ("inside, allowed", true, |_| vec![Ipv4Addr::LOCALHOST], true),
        ("inside", false, |_| vec![Ipv4Addr::LOCALHOST], false),
        (
            "outside at the first look, inside from then on",
            false,
            |look| vec![if look == 0 { OUTSIDE } else { Ipv4Addr::LOCALHOST }],
            false,
        ),
        (
            "both at once, in either order",
            false,
            |look| match look % 2 {
                0 => vec![OUTSIDE, Ipv4Addr::LOCALHOST],
                _ => vec![Ipv4Addr::LOCALHOST, OUTSIDE],
            },
            false,
        ),
    ];
    for (case, allowed, script, reached) in cases {
        let before = target.calls().len();
        let looks = Arc::<AtomicUsize>::default();
        let mut server = JoinSet::new();
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 53)).await.unwrap();
        server.spawn(answer(socket, script, Arc::clone(&looks)));
        let rig = Rig::new().await;
        rig.write("guest", Guest::forward());
        let text = one_route(&format!("http://rebind.example.com:{port}"));
        let pipeline = rig.pipeline(&text.replace("allow_private = true", &format!("allow_private = {allowed}")));
        for n in 0..4 {
            rig.send(&format!("g/{n}"), "{}").await;
        }
        let settled = rig.run(&pipeline).await;
        assert_eq!(settled.iter().all(|settled| *settled == Settlement::Ack), reached, "{case}: {settled:?}");
        assert_eq!(target.calls().len() - before, if reached { 4 } else { 0 }, "{case}");
        assert!(looks.load(Ordering::Relaxed) > 0, "{case}: nobody asked the name server");
        server.shutdown().await;
    }
}

/// A name server that knows one name: RFC 1035, section 4.
async fn answer(socket: UdpSocket, script: Script, looks: Arc<AtomicUsize>) {
    let mut buffer = [0; 512];
    loop {
        let (length, from) = socket.recv_from(&mut buffer).await.unwrap();
        let question = &buffer[12..length];
        let name_end = question.iter().position(|byte| *byte == 0).unwrap() + 1;
        let is_ipv4 = question[name_end..name_end + 2] == [0, 1];
        let addresses = if is_ipv4 { script(looks.fetch_add(1, Ordering::Relaxed)) } else { Vec::new() };
        // The id, "this is an answer", one question and so many answers.
        let mut reply = [&buffer[..2], &[0x81, 0x80, 0, 1, 0, addresses.len() as u8, 0, 0, 0, 0]].concat();
        reply.extend(&question[..name_end + 4]);
        for address in addresses {
            // The name of the question, an IPv4 address of the internet, to be kept for 0 s.
            reply.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4]);
            reply.extend(address.octets());
        }
        socket.send_to(&reply, from).await.unwrap();
    }
}
