use super::*;

fn hold(since: u64, until: Option<u64>) -> Hold {
    Hold { since: Timestamp(since), until: until.map(Timestamp), reason: "release".into(), by: "ops".into() }
}

#[test]
fn a_hold_ends_by_itself_and_a_longer_one_keeps_its_beginning() {
    let mut state = HoldState::default();
    Change::Hold("sss".into(), hold(10, Some(20))).apply(&mut state);
    assert!(state.hold("sss", Timestamp(19)).is_some());
    assert!(state.hold("sss", Timestamp(20)).is_none());
    Change::Hold("sss".into(), hold(15, None)).apply(&mut state);
    assert_eq!(state.hold("sss", Timestamp(99)).map(|hold| hold.since), Some(Timestamp(10)));
    Change::Hold("sss".into(), hold(5, Some(7))).apply(&mut state);
    Change::Hold("sss".into(), hold(30, None)).apply(&mut state);
    assert_eq!(state.hold("sss", Timestamp(99)).map(|hold| hold.since), Some(Timestamp(30)), "it was over");
}

#[test]
fn a_resume_ends_the_hold_and_a_hold_ends_the_drain() {
    let mut state = HoldState::default();
    Change::Hold("sss".into(), hold(10, None)).apply(&mut state);
    let drain = Drain { at: Timestamp(20), per_second: 10.0 };
    Change::Resume("sss".into(), Some(drain)).apply(&mut state);
    assert!(state.hold("sss", Timestamp(20)).is_none());
    assert_eq!(state.drains["sss"], drain);
    Change::Hold("sss".into(), hold(30, None)).apply(&mut state);
    assert!(state.drains.is_empty());
}
