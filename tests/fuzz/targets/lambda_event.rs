//! An event of Lambda: every record has its id, and one odd record does not fail the others.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use towpath_engine::lambda::event::records;
use towpath_types::clock::Timestamp;
use towpath_types::message::Message;

fuzz_target!(|text: &[u8]| {
    let Ok(event) = serde_json::from_slice::<Value>(text) else { return };
    let Ok(records) = records(&event, Timestamp(0)) else { return };
    assert_eq!(records.len(), event["Records"].as_array().expect("records").len());
    for record in records {
        assert!(!record.id.as_str().is_empty());
        if let Ok(received) = record.message {
            assert!(received.receive_count >= 1);
            let _ = Message::read(&received, "q");
        }
    }
});
