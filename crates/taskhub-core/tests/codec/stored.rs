//! The stored encoding does not drift: what was written once is read for ever.

use std::fmt::Write as _;

use taskhub_core::{
    CallId, Event, ExecutionId, Failure, Inherited, InstanceId, Kind, Message, Parent,
    RuntimeStatus, Started, Timestamp, Trace, Work, codec,
};

fn work() -> Work {
    let tags = [("color".into(), "red".into())];
    Work { version: Some("2".into()), tags: tags.into(), ..Work::new("charge", Some("7".into())) }
}

fn started() -> Box<Started> {
    let parent = Parent {
        instance: InstanceId::trusted("order"),
        execution: ExecutionId(1),
        name: "shop".into(),
        call: CallId(3),
    };
    Box::new(Started {
        version: Some("1".into()),
        parent: Some(parent),
        start_at: Some(Timestamp(-5)),
        deadline: Some(Timestamp(9)),
        tags: work().tags,
        trace: Some(Trace { parent: "00-ab".into(), state: Some("k=v".into()) }),
        inherited: [Inherited {
            execution: ExecutionId(1),
            call: CallId(4),
            instance: InstanceId::trusted("c"),
        }]
        .into(),
        ..Started::new("weather", Some("{}".into()), ExecutionId(0x0102_0304))
    })
}

fn failure() -> Failure {
    let cause = Failure { stack: Some("at line 1".into()), ..Failure::new("Io", "no route") };
    Failure::new("Charge", "declined").caused_by(cause).non_retriable()
}

fn kinds() -> Vec<(Kind, &'static str)> {
    let (call, name, to) = (CallId(300), "go".into(), InstanceId::trusted("b"));
    let reason = Some("why".into());
    vec![
        (
            Kind::Started(started()),
            concat!(
                "0a810108d00f127c0a07776561746865721201311a027b7d22100000000000000000000000",
                "00010203042a210a056f726465721210000000000000000000000000000000011a047368",
                "6f70200330093a0c0a05636f6c6f721203726564420530302d61624a036b3d765012",
                "62170a100000000000000000000000000000000110041a0163",
            ),
        ),
        (Kind::TurnStarted { takes: 2, clock: None }, "0a0508d00f1802"),
        (
            Kind::ActivityScheduled { call, work: work() },
            "0a2408d00f221f08ac0212066368617267651a01322201372a0c0a05636f6c6f721203726564",
        ),
        (
            Kind::ActivityFinished { call, outcome: Ok(Some("8".into())) },
            "0a0d08d00f2a0808ac0212030a0138",
        ),
        (
            Kind::ActivityFinished { call, outcome: Err(failure()) },
            concat!(
                "0a3b08d00f2a3608ac021231122f0a0643686172676512086465636c696e656422190a02",
                "496f12086e6f20726f7574651a096174206c696e6520312801",
            ),
        ),
        (
            Kind::ChildScheduled { call, instance: to.clone(), work: work() },
            concat!(
                "0a2708d00f322208ac0212066368617267651a01322201372a0c0a05636f6c6f72120372",
                "6564320162",
            ),
        ),
        (Kind::ChildFinished { call, outcome: Ok(None) }, "0a0a08d00f3a0508ac021200"),
        (Kind::TimerCreated { call, fire_at: Timestamp(77) }, "0a0b08d00f420608ac02109a01"),
        (Kind::TimerFired { call }, "0a0608d00f48ac02"),
        (
            Kind::EventSent { call, to, name, input: Some("1".into()) },
            "0a1208d00f520d08ac021202676f220131320162",
        ),
        (Kind::EventRaised { name: "go".into(), input: None }, "0a0908d00f5a040a02676f"),
        (Kind::CallCancelled { call }, "0a0608d00f60ac02"),
        (Kind::Suspended { reason: reason.clone() }, "0a0a08d00f6a050a03776879"),
        (Kind::Resumed { reason: None }, "0a0508d00f7200"),
        (Kind::Rewound { reason: reason.clone() }, "0a0b08d00fda01050a03776879"),
        (Kind::Awaited { until: Timestamp(77) }, "0a0708d00f80029a01"),
        (
            Kind::Noted { call, name: "go".into(), value: "1".into() },
            "0a1008d00fd2010a08ac021202676f1a0131",
        ),
        (Kind::Terminated { reason }, "0a0a08d00f7a050a03776879"),
        (Kind::Completed { status: RuntimeStatus::Failed }, "0a0608d00f800103"),
    ]
}

fn later_kinds() -> Vec<(Kind, &'static str)> {
    let call = CallId(300);
    vec![
        (Kind::OperationsDue { count: 3 }, "0a0608d00f880203"),
        (
            Kind::ChildGone { execution: ExecutionId(1), call },
            "0a1b08d00f9202150a100000000000000000000000000000000110ac02",
        ),
    ]
}

fn messages() -> Vec<(Message, &'static str)> {
    let (name, reason) = ("go".into(), Some("why".into()));
    let (execution, call) = (ExecutionId(5), CallId(6));
    vec![
        (
            Message::Start(started()),
            concat!(
                "0a7c0a07776561746865721201311a027b7d221000000000000000000000000001020304",
                "2a210a056f726465721210000000000000000000000000000000011a0473686f70200330",
                "093a0c0a05636f6c6f721203726564420530302d61624a036b3d765012",
                "62170a100000000000000000000000000000000110041a0163",
            ),
        ),
        (Message::Raise { name, input: Some("1".into()) }, "12070a02676f120131"),
        (
            Message::ChildFinished { execution, call, outcome: Err(failure()) },
            concat!(
                "1a4708061231122f0a0643686172676512086465636c696e656422190a02496f12086e6f",
                "20726f7574651a096174206c696e65203128011a10000000000000000000000000000000",
                "05",
            ),
        ),
        (
            Message::Rewind { started: started(), execution, reason: reason.clone() },
            concat!(
                "2a95010a7c0a07776561746865721201311a027b7d22100000000000000000000000000102",
                "03042a210a056f726465721210000000000000000000000000000000011a0473686f7020",
                "0330093a0c0a05636f6c6f721203726564420530302d61624a036b3d765012",
                "62170a100000000000000000000000000000000110041a0163",
                "1210000000",
                "000000000000000000000000051a03776879",
            ),
        ),
        (
            Message::Terminate { child_of: Some((execution, call)), reason, recursive: true },
            "221b0a0377687910011a10000000000000000000000000000000052006",
        ),
    ]
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

fn unhex(hex: &str) -> Vec<u8> {
    let byte = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).expect("two hex digits");
    (0..hex.len()).step_by(2).map(byte).collect()
}

#[test]
fn every_kind_of_event_is_stored_as_ever() {
    for (kind, stored) in kinds().into_iter().chain(later_kinds()) {
        let event = Event { at: Timestamp(1_000), kind };
        assert_eq!(hex(&codec::encode_events(std::slice::from_ref(&event))), stored, "{event:?}");
        assert_eq!(codec::decode_events(&unhex(stored)), Ok(vec![event]));
    }
}

#[test]
fn every_kind_of_message_is_stored_as_ever() {
    for (message, stored) in messages() {
        assert_eq!(hex(&codec::encode_message(&message)), stored, "{message:?}");
        assert_eq!(codec::decode_message(&unhex(stored)), Ok(message));
    }
}
