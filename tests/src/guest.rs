//! Guests written in WAT: well-behaved ones and others. They need no wasm target.

use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// Where things lie in a guest's memory.
const DESCRIPTION: usize = 64;
const VERDICT: usize = 256;
const REQUESTS: usize = 512;
const STRINGS: usize = 8192;
const HEAP: usize = 256 * 1024;

/// How large a `request` is in memory.
const REQUEST: usize = 64;

/// A guest in the making: static memory, and the code of its functions.
pub struct Guest {
    memory: Vec<u8>,
    name: String,
    next_string: usize,
    targets: Vec<String>,
    transform: String,
    describe: String,
    problem: Option<String>,
    pages: usize,
}

/// A request that a guest makes of every message; its body is the message's own.
#[derive(Clone, Copy)]
pub struct Request {
    /// The target.
    pub target: &'static str,
    /// The method.
    pub method: &'static str,
    /// The path.
    pub path: &'static str,
    /// A header, if there is to be one.
    pub header: Option<(&'static str, &'static str)>,
    /// Whether the header's value is the name of a secret.
    pub secret: bool,
}

impl Default for Request {
    fn default() -> Request {
        Request { target: "sss", method: "POST", path: "/t", header: None, secret: false }
    }
}

impl Default for Guest {
    fn default() -> Guest {
        Guest {
            memory: vec![0; HEAP],
            name: "guest".to_owned(),
            next_string: STRINGS,
            targets: vec!["sss".to_owned()],
            transform: String::new(),
            describe: String::new(),
            problem: None,
            pages: 64,
        }
    }
}

impl Guest {
    /// Delivers every message as it is to `sss`.
    pub fn forward() -> Guest {
        Guest::deliver(&[Request::default()])
    }

    /// Makes these requests of every message.
    pub fn deliver(requests: &[Request]) -> Guest {
        let mut guest = Guest::default();
        for (index, request) in requests.iter().enumerate() {
            let at = REQUESTS + index * REQUEST;
            guest.string(at, request.target);
            guest.string(at + 8, request.method);
            guest.string(at + 16, request.path);
            if let Some((name, value)) = request.header {
                // A header: name, then the variant of its value, which is text.
                let header = guest.next_string.next_multiple_of(4);
                guest.next_string = header + 20;
                guest.string(header, name);
                guest.memory[header + 8] = u8::from(request.secret);
                guest.string(header + 12, value);
                guest.word(at + 24, header);
                guest.word(at + 28, 1);
            }
        }
        guest.word(VERDICT + 16, REQUESTS);
        guest.word(VERDICT + 20, requests.len());
        guest
    }

    /// Says `skip` of every message.
    pub fn skip(code: &str) -> Guest {
        Guest::reasoned(1, code)
    }

    /// Says `retry` of every message, after so many milliseconds.
    pub fn retry(code: &str, after_ms: u64) -> Guest {
        let mut guest = Guest::reasoned(2, code);
        guest.memory[VERDICT + 40] = 1;
        guest.memory[VERDICT + 48..VERDICT + 56].copy_from_slice(&after_ms.to_le_bytes());
        guest
    }

    /// Says `reject` of every message.
    pub fn reject(code: &str) -> Guest {
        Guest::reasoned(3, code)
    }

    /// Returns an error for every message.
    pub fn error(code: &str) -> Guest {
        let mut guest = Guest::default();
        guest.memory[VERDICT] = 1;
        guest.string(VERDICT + 8, code);
        guest
    }

    /// One of those in `tests/guests`, by its name: it misbehaves in `transform`; if that ends, it skips, or forwards
    /// where it lies about what it gives back.
    pub fn hostile(name: &str) -> Guest {
        let wat = read(&format!("guests/{name}"));
        if name.starts_with("return-1") {
            Guest::large(16).with_code(&wat)
        } else if name.starts_with("return") {
            Guest::forward().with_code(&wat)
        } else {
            Guest::code(&wat)
        }
    }

    /// The mapping of the chaos run: what it makes of an event stands at byte 6 of its body. The broken one traps on some of
    /// what it should deliver.
    pub fn of_chaos(broken: bool) -> Guest {
        let code = read("chaos/mapping");
        let code = if broken { code + BROKEN } else { code };
        Guest::forward().named("mapping").with_code(&code)
    }

    /// Calls itself so in its description.
    pub fn named(mut self, name: &str) -> Guest {
        self.name = name.to_owned();
        self
    }

    /// Runs this WAT in `transform`; if that ends, it skips.
    pub fn code(wat: &str) -> Guest {
        Guest { transform: wat.to_owned(), ..Guest::skip("ended") }
    }

    /// Gives back a verdict with a body of so many bytes.
    pub fn large(bytes: usize) -> Guest {
        let mut guest = Guest::forward();
        guest.pages = 64 + bytes / 65536;
        guest.memory[REQUESTS + 32] = 1;
        guest.word(REQUESTS + 36, HEAP);
        guest.word(REQUESTS + 40, bytes);
        guest
    }

    /// Names these targets in its description.
    pub fn with_targets(mut self, targets: &[&str]) -> Guest {
        self.targets = targets.iter().map(|target| (*target).to_owned()).collect();
        self
    }

    /// Runs this WAT in `describe`.
    pub fn with_describe(mut self, wat: &str) -> Guest {
        self.describe = wat.to_owned();
        self
    }

    /// Finds this problem in its config.
    pub fn with_problem(mut self, problem: &str) -> Guest {
        self.problem = Some(problem.to_owned());
        self
    }

    /// Runs this WAT in `transform` before all else. The message is local 0: id at 0, group at 8. It may
    /// call `$log`, `$stderr`, `$print`, `$close`, `$wall_clock`, `$monotonic_clock`, `$sleep`, `$block`, `$random`,
    /// `$random_bytes`, `$stdin`, `$read` and itself, `$map_message`.
    pub fn with_code(mut self, wat: &str) -> Guest {
        self.transform = wat.to_owned();
        self
    }

    fn reasoned(case: u8, code: &str) -> Guest {
        let mut guest = Guest::default();
        guest.memory[VERDICT + 8] = case;
        guest.string(VERDICT + 16, code);
        guest.string(VERDICT + 24, "said by the guest");
        guest
    }

    fn word(&mut self, at: usize, value: usize) {
        self.memory[at..at + 4].copy_from_slice(&u32::try_from(value).unwrap().to_le_bytes());
    }

    fn string(&mut self, at: usize, text: &str) {
        let start = self.next_string;
        self.memory[start..start + text.len()].copy_from_slice(text.as_bytes());
        self.next_string += text.len();
        self.word(at, start);
        self.word(at + 4, text.len());
    }

    /// The component.
    pub fn build(mut self) -> Vec<u8> {
        let name = self.name.clone();
        self.string(DESCRIPTION, &name);
        self.string(DESCRIPTION + 8, "0.0.1");
        let list = self.next_string.next_multiple_of(4);
        self.next_string = list + 8 * self.targets.len();
        for (index, target) in self.targets.clone().iter().enumerate() {
            self.string(list + 8 * index, target);
        }
        self.word(DESCRIPTION + 24, list);
        self.word(DESCRIPTION + 28, self.targets.len());
        if let Some(problem) = self.problem.take() {
            self.string(160, "/team");
            self.string(168, &problem);
            self.word(128, 160);
            self.word(132, 1);
        }
        component(&self.wat())
    }

    fn wat(&self) -> String {
        let used = &self.memory[..self.next_string];
        let data: String = used.iter().map(|byte| format!("\\{byte:02x}")).collect();
        let Guest { transform, describe, pages, .. } = self;
        format!(
            r#"(module
            (import "towpath:plugin/log@1.0.0" "write" (func $log (param i32 i32 i32 i32 i32)))
            (import "wasi:clocks/wall-clock@0.2.0" "now" (func $wall_clock (param i32)))
            (import "wasi:clocks/monotonic-clock@0.2.0" "now" (func $monotonic_clock (result i64)))
            (import "wasi:clocks/monotonic-clock@0.2.0" "subscribe-duration" (func $sleep (param i64) (result i32)))
            (import "wasi:io/poll@0.2.0" "[method]pollable.block" (func $block (param i32)))
            (import "wasi:cli/stderr@0.2.0" "get-stderr" (func $stderr (result i32)))
            (import "wasi:io/streams@0.2.0" "[method]output-stream.blocking-write-and-flush"
                (func $print (param i32 i32 i32 i32)))
            (import "wasi:cli/stdin@0.2.0" "get-stdin" (func $stdin (result i32)))
            (import "wasi:io/streams@0.2.0" "[method]input-stream.blocking-read" (func $read (param i32 i64 i32)))
            (import "wasi:random/random@0.2.0" "get-random-bytes" (func $random_bytes (param i64 i32)))
            (import "wasi:io/streams@0.2.0" "[resource-drop]output-stream" (func $close (param i32)))
            (import "wasi:random/random@0.2.0" "get-random-u64" (func $random (result i64)))
            (memory (export "memory") {pages})
            (data (i32.const 0) "{data}")
            (global $next (mut i32) (i32.const {HEAP}))
            (global $one (mut i32) (i32.const 1))
            (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
                (local $at i32)
                (local.set $at (i32.and (i32.add (global.get $next) (i32.const 7)) (i32.const -8)))
                (global.set $next (i32.add (local.get $at) (local.get 3)))
                (local.get $at))
            (func $map_message (export "towpath:plugin/transform@1.0.0#transform") (param i32) (result i32)
                {transform}
                (i32.const {VERDICT}))
            (func (export "towpath:plugin/metadata@1.0.0#describe") (result i32)
                {describe}
                (i32.const {DESCRIPTION}))
            (func (export "towpath:plugin/metadata@1.0.0#check-config") (result i32) (i32.const 128)))"#
        )
    }
}

/// Traps on what is to be delivered and has a length that four divides.
const BROKEN: &str = "(if (i32.and (i32.eq (local.get $kind) (i32.const 100))
    (i32.eqz (i32.and (i32.load offset=76 (local.get 0)) (i32.const 3)))) (then (unreachable)))";

/// The code of `tests/NAME.wat`.
fn read(name: &str) -> String {
    std::fs::read_to_string(format!("{}/{name}.wat", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

/// Makes a component of the world `transformer`, with some of WASI, from a core module.
fn component(wat: &str) -> Vec<u8> {
    let mut resolve = Resolve::default();
    let wit = concat!(env!("CARGO_MANIFEST_DIR"), "/../wit/1.0.0");
    let (package, _) = resolve.push_dir(wit).unwrap();
    let wasi = resolve.push_path(concat!(env!("CARGO_MANIFEST_DIR"), "/wit/wasi.wit")).unwrap().0;
    let world = resolve.select_world(&[package, wasi], Some("towpath:probe/probe")).unwrap();
    let mut module = wat::parse_str(wat).unwrap();
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).unwrap();
    ComponentEncoder::default().module(&module).unwrap().validate(true).encode().unwrap()
}
