"""Ways in which bytes, and JSON, come to be others than those that were written."""

import json

#: Numbers at the ends of what integers hold, and just beyond.
EXTREMES = [
    0, 1, -1, 7, 2**15, 2**16 - 1, 2**31 - 1, 2**31, -(2**31), 2**32 - 1, 2**40, 2**53, 2**62, 2**63 - 1, 2**63,
    -(2**63), 2**64 - 1,
]  # fmt: skip
PAGE = 4096


class Damage:
    """Bytes that are being damaged, and where.

    Args:
        regions: places (first byte, length) that are damaged as often as all of the bytes together, however small they
            are; none for any place alike.
    """

    def __init__(self, random, data, regions=()):
        self.random, self.data = random, bytearray(data)
        self.regions = [(first, length) for first, length in regions if 0 <= first < len(data) and length > 0]

    def place(self, size=1):
        """The first of `size` bytes."""
        first, length = 0, len(self.data)
        if self.regions and self.random.random() < 0.5:
            first, length = self.random.choice(self.regions)
        return min(first + self.random.randrange(length), max(0, len(self.data) - size))


def flip(damage):
    """A single bit."""
    place, bit = damage.place(), damage.random.randrange(8)
    damage.data[place] ^= 1 << bit
    return f"bit {bit} of byte {place}"


def flips(damage):
    places = [damage.place() for _ in range(damage.random.choice([2, 8, 64]))]
    for place in places:
        damage.data[place] ^= 1 << damage.random.randrange(8)
    return f"bits of the bytes {sorted(places)[:8]}"


def overwrite(damage):
    size = damage.random.choice([1, 2, 8, 64, 512])
    place = damage.place(size)
    size = min(size, len(damage.data) - place)
    damage.data[place : place + size] = damage.random.randbytes(size)
    return f"{size} random bytes from {place} on"


def number(damage):
    """An extreme integer where one may lie, in either order of bytes."""
    size, order = damage.random.choice([1, 2, 4, 8]), damage.random.choice(["little", "big"])
    place = damage.place(size) // size * size
    value = damage.random.choice(EXTREMES) % 2 ** (8 * size)
    damage.data[place : place + size] = value.to_bytes(size, order)
    return f"the {order} endian number {value} at byte {place}"


def zero(damage):
    size = damage.random.choice([8, 64, 512, PAGE])
    place = damage.place() // size * size
    size = min(size, len(damage.data) - place)
    damage.data[place : place + size] = bytes(size)
    return f"{size} zeros from {place} on"


def truncate(damage):
    size = damage.place()
    del damage.data[size:]
    return f"only the first {size} bytes"


def extend(damage):
    size = damage.random.choice([1, 8, PAGE])
    damage.data += damage.random.randbytes(size)
    return f"{size} random bytes behind the end"


def _two_blocks(damage):
    size = min(damage.random.choice([8, 64, 256, 1024, PAGE]), max(1, len(damage.data) // 3))
    return size, damage.place(size) // 8 * 8, damage.place(size) // 8 * 8


def swap(damage):
    size, a, b = _two_blocks(damage)
    if abs(a - b) >= size:
        damage.data[a : a + size], damage.data[b : b + size] = damage.data[b : b + size], damage.data[a : a + size]
    return f"{size} bytes from {a} and from {b} on change places"


def repeat(damage):
    size, a, b = _two_blocks(damage)
    damage.data[b : b + size] = damage.data[a : a + size]
    return f"{size} bytes from {a} on at {b}, too"


#: By name, each with how often it is drawn.
OF_BYTES = {
    "flip": (flip, 4), "flips": (flips, 1), "overwrite": (overwrite, 2), "number": (number, 3), "zero": (zero, 2),
    "truncate": (truncate, 1), "extend": (extend, 1), "swap": (swap, 1), "repeat": (repeat, 1),
}  # fmt: skip


def damage_file(random, path, names, regions=()):
    """Damages a file in one of the named ways; says how."""
    names = [name for name in OF_BYTES if name in names]
    (name,) = random.choices(names, [OF_BYTES[name][1] for name in names])
    damage = Damage(random, path.read_bytes(), regions)
    what = OF_BYTES[name][0](damage)
    path.write_bytes(damage.data)
    return f"{name}: {what}"


#: What takes the place of a value in JSON.
VALUES = EXTREMES + [
    1e308, -1e308, 1e-320, 0.5, 1e19, -0.0, 3.0000001, None, True, False, "", "x", "\0", "../x", "a'b; DROP TABLE runs",
    "order", "\u202e", [], {}, [1] * 1000, [2**40, 2**40], {"x": 1},
]  # fmt: skip
_DUPLICATE = "\1duplicate"


def change_json(random, value):
    """JSON that differs in one thing from a value, as bytes, and what that is."""
    value = json.loads(json.dumps(value))
    way = random.choices(["value", "remove", "duplicate", "add", "text"], [12, 3, 1, 1, 1])[0]
    if way == "text":
        return _change_text(random, json.dumps(value).encode())
    path = random.choice(_paths(value))
    parent = value
    for key in path[:-1]:
        parent = parent[key]
    name = ".".join(map(str, path))
    if way == "remove":
        del parent[path[-1]]
        what = f"{name} is missing"
    elif way == "add":
        if isinstance(parent, dict):
            parent["unknown"] = random.choice(VALUES)
        else:
            parent.insert(path[-1], parent[path[-1]])
        what = f"one more beside {name}"
    elif way == "duplicate" and isinstance(parent, dict):
        parent[_DUPLICATE] = random.choice(VALUES)
        what = f"{name} twice"
    else:
        parent[path[-1]] = random.choice(VALUES)
        what = f"{name} = {json.dumps(parent[path[-1]])[:60]}"
    return json.dumps(value).replace(json.dumps(_DUPLICATE), json.dumps(path[-1])).encode(), what


def _paths(value, path=()):
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [place for key, member in members for place in [(*path, key), *_paths(member, (*path, key))]]


def _change_text(random, text):
    """What no JSON library writes."""
    changes = {
        "100,000 open brackets": b"[" * 100_000,
        "100,000 open objects": b'{"a":' * 100_000,
        "nothing": b"",
        "zeros": bytes(100),
        "UTF-16": text.decode().encode("utf-16"),
        "no UTF-8": text.replace(b'"', b'"\xff', 1),
        "a word behind the end": text + b" x",
        "a number that no double is": text.replace(b": 1", b": 1e999", 1),
        "a number of 5,000 digits": text.replace(b": 1", b": " + b"1" * 5000, 1),
        "no end": text[: random.randrange(len(text))],
    }
    what = random.choice(list(changes))
    return changes[what], what
