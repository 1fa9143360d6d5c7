//! The protocol as the SDKs know it: names and numbers that must never change.

use prost::Message as _;
use prost_types::FileDescriptorSet;
use taskhub_wire::proto::{
    CreateOrchestrationAction, DESCRIPTORS, GetInstanceRequest, HistoryEvent,
    OrchestrationIdReusePolicy, TaskFailureDetails, history_event::EventType,
};

fn files() -> Vec<prost_types::FileDescriptorProto> {
    let set = FileDescriptorSet::decode(DESCRIPTORS).expect("the build made them");
    set.file.into_iter().filter(|file| !file.name().starts_with("google/")).collect()
}

#[test]
fn the_service_has_its_29_calls_and_no_package() {
    let files = files();
    let services: Vec<_> = files.iter().flat_map(|file| &file.service).collect();
    let [service] = services.as_slice() else { panic!("{} services", services.len()) };
    assert_eq!((service.name(), service.method.len()), ("TaskHubSidecarService", 29));
    assert!(files.iter().all(|file| file.package().is_empty()));
}

#[test]
fn all_118_messages_are_there_with_their_fields() {
    let files = files();
    let messages = files.iter().flat_map(|file| &file.message_type);
    // Ours stand in fields of our own only, or in metadata.
    let ours = ["Refusal", "HistoryExtent"];
    let messages: Vec<_> = messages.filter(|message| !ours.contains(&message.name())).collect();
    let known = |field: &&prost_types::FieldDescriptorProto| field.number() <= 10_000;
    let fields = messages.iter().flat_map(|message| &message.field).filter(known).count();
    // One more than the SDKs know: the action of older Go clients.
    assert_eq!((messages.len(), fields), (118, 380));
}

#[test]
fn a_message_has_the_bytes_that_other_languages_write() {
    let request = GetInstanceRequest {
        instance_id: "ab".into(),
        get_inputs_and_outputs: true,
        ..GetInstanceRequest::default()
    };
    assert_eq!(request.encode_to_vec(), b"\x0a\x02ab\x10\x01");
    let event = HistoryEvent {
        event_id: -1,
        timestamp: None,
        event_type: Some(EventType::OrchestratorStarted(
            taskhub_wire::proto::OrchestratorStartedEvent {},
        )),
    };
    let minus_one = b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01";
    assert_eq!(event.encode_to_vec(), [&minus_one[..], b"\x72\x00"].concat());
}

#[test]
fn an_older_go_client_is_known_by_its_action() {
    let new = OrchestrationIdReusePolicy::decode(&b"\x0a\x02\x01\x03"[..]).unwrap();
    assert_eq!((new.replaceable_status.as_slice(), new.action), (&[1, 3][..], None));
    let old = OrchestrationIdReusePolicy::decode(&b"\x0a\x01\x00\x10\x02"[..]).unwrap();
    assert_eq!(old.action, Some(CreateOrchestrationAction::Terminate.into()));
}

#[test]
fn deeply_nested_bytes_are_refused_rather_than_overflowing_the_stack() {
    let mut bytes = Vec::new();
    for _ in 0..10_000 {
        let mut outer = vec![0x22];
        prost::encoding::encode_varint(bytes.len() as u64, &mut outer);
        outer.extend_from_slice(&bytes);
        bytes = outer;
        if bytes.len() > 20_000 {
            break;
        }
    }
    assert!(TaskFailureDetails::decode(&*bytes).is_err());
}
