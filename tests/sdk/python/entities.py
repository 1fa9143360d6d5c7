"""Entities that several tests use."""

from durabletask.entities import DurableEntity, EntityInstanceId

from hub import Hub, eventually


def counter(ctx, input):
    """Counts, and can do so wrongly."""
    count = ctx.get_state(int, 0)
    match ctx.operation:
        case "add":
            ctx.set_state(count + input)
        case "get":
            return count
        case "set":
            ctx.set_state(input)
        case "delete":
            ctx.set_state(None)
        case "add_then_fail":
            ctx.set_state(count + input)
            ctx.signal_entity(EntityInstanceId("counter", "witness"), "add", 1)
            raise ValueError(f"failed at {count}")
        case operation:
            raise NotImplementedError(operation)


class Account(DurableEntity):
    """An account as a class."""

    def deposit(self, amount):
        self.set_state({"balance": self.balance() + amount})
        return self.balance()

    def balance(self):
        return self.get_state(dict, {"balance": 0})["balance"]


def count_of(hub: Hub, key: str, name: str = "counter") -> int | None:
    """The state of a counter as it is stored, if it is."""
    metadata = hub.client.get_entity(EntityInstanceId(name, key))
    return metadata.get_typed_state() if metadata else None


def until_count(hub: Hub, key: str, expected: int | None, name: str = "counter") -> None:
    """Waits until a counter has counted this far."""
    eventually(lambda: count_of(hub, key, name) == expected)
