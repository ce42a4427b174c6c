"""Four clients change the mailboxes of one account until the service dies, each keeping a model of what was acknowledged.

Usage: HOST PORT CA USER PASSWORD STATE work|look
Before it changes anything, a client compares the service with its model: what was acknowledged is there, exactly once and
with its flags and UIDs; of the command that the end of the service cut short, all or nothing is. "ready" is said when all clients have.
"""
import imaplib, json, os, random, re, ssl, sys, threading

host, port, ca, user, password, path, mode = sys.argv[1:8]
imaplib._MAXLINE = 10_000_000
WORKERS, SHARED, MANY = 4, ("INBOX", "Common"), 25
FLAGS = ["\\Seen", "\\Flagged", "\\Answered", "$K0", "$K1", "$K2"]
DEAD = (imaplib.IMAP4.abort, OSError, EOFError)
context = ssl.create_default_context(cafile=ca)


def want(answer):
    typ, data = answer
    assert typ == "OK", answer
    return data


def login():
    c = imaplib.IMAP4_SSL(host, int(port), ssl_context=context)
    want(c.login(user, password))
    return c


def numbers(text):
    out = []
    for part in text.split(","):
        first, _, last = part.partition(":")
        out += range(int(first), int(last or first) + 1)
    return out


class Worker:
    def __init__(self, n, state):
        self.n, self.random, self.done = n, random.Random(os.urandom(8)), 0
        self.boxes = {name: {int(uid): m for uid, m in box.items()} for name, box in state["boxes"].items()}
        self.after = state["after"] and {
            name: {int(uid): m for uid, m in box.items()} for name, box in state["after"].items()
        }
        self.serial, self.error = state["serial"], None

    def kept(self):
        return {"boxes": self.boxes, "after": self.after, "serial": self.serial}

    def read(self, c):
        """What there is of this client's."""
        found = {}
        listed = [line.split(b'" ')[-1].decode().strip('"') for line in want(c.list(f"w{self.n}/", "*")) if line]
        assert len(set(listed)) == len(listed), listed
        for name in [*listed, *SHARED]:
            found[name] = {}
            if want(c.select(name, readonly=True)) == [b"0"]:
                continue
            data = want(c.uid("FETCH", "1:*", "(FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])"))
            for item in data:
                if not isinstance(item, tuple):
                    continue
                uid = int(re.search(rb"UID (\d+)", item[0])[1])
                flags = re.search(rb"FLAGS \(([^)]*)\)", item[0])[1].decode().split()
                subject = item[1].decode().split(":", 1)[1].strip()
                owner = subject.split("-")[0]
                if owner == f"w{self.n}":
                    found[name][uid] = [subject, sorted(set(flags) - {"\\Recent"})]
                assert name in SHARED or owner == f"w{self.n}", (name, subject)
        return found

    @staticmethod
    def same(found, model):
        """UIDs that were not told are negative in the model."""
        if set(found) != set(model):
            return False
        for name, box in model.items():
            known = {uid: m for uid, m in box.items() if uid > 0}
            if any(found[name].get(uid) != m for uid, m in known.items()):
                return False
            rest = sorted(m for uid, m in found[name].items() if uid not in known)
            if rest != sorted(m for uid, m in box.items() if uid < 0):
                return False
        return True

    def compare(self, c):
        found = self.read(c)
        models = [self.boxes] + ([self.after] if self.after else [])
        if not any(self.same(found, model) for model in models):
            differs = {
                name: (found.get(name), [model.get(name) for model in models])
                for name in {*found, *self.boxes, *(self.after or {})}
                if any(found.get(name) != model.get(name) for model in models)
            }
            raise AssertionError(f"client {self.n}: {differs}")
        self.boxes, self.after = found, None

    def copied(self, c, data):
        text = b" ".join([d for d in data if d] + [d for d in c.response("COPYUID")[1] if d])
        old, new = re.search(rb"(?:COPYUID )?\d+ ([\d:,]+) ([\d:,]+)", text).groups()
        return dict(zip(numbers(old.decode()), numbers(new.decode())))

    def step(self, c):
        r, boxes = self.random, self.boxes
        after = {name: dict(box) for name, box in boxes.items()}
        own = [name for name in boxes if name not in SHARED]
        full = [name for name in boxes if boxes[name]]
        what = r.choice(["append"] * 4 + ["copy"] * 3 + ["move"] * 3 + ["store"] * 4 + ["expunge", "rename", "tree"])
        if what == "tree" and len(own) > 3:
            name = r.choice(own)
            del after[name]
            self.after = after
            want(c.delete(name))
        elif what == "tree" or not own:
            self.serial += 1
            name = f"w{self.n}/m{self.serial}"
            after[name] = {}
            self.after = after
            want(c.create(name))
        elif what == "rename":
            self.serial += 1
            old, new = r.choice(own), f"w{self.n}/m{self.serial}"
            after[new] = after.pop(old)
            self.after = after
            want(c.rename(old, new))
        elif what == "append" or not full:
            self.serial += 1
            name, flags = r.choice(list(boxes)), sorted(r.sample(FLAGS, r.randint(0, 2)))
            subject = f"w{self.n}-{self.serial}"
            after[name][-1] = [subject, flags]
            self.after = after
            text = f"Subject: {subject}\r\n\r\n{'text ' * r.choice([1, 10, 4000])}\r\n".encode()
            data = want(c.append(name, f"({' '.join(flags)})", None, text))
            uid = int(re.search(rb"APPENDUID \d+ (\d+)", data[0])[1])
            after[name][uid] = after[name].pop(-1)
        else:
            name = r.choice(full)
            uids = r.sample(list(boxes[name]), min(len(boxes[name]), r.randint(1, 4)))
            if len(boxes[name]) > MANY:
                what, uids = "expunge", list(boxes[name])[: MANY // 2]
            uids.sort()
            text = ",".join(map(str, uids))
            want(c.select(name))
            if what in ("copy", "move"):
                to = r.choice(list(boxes))
                for uid in uids:
                    after[to][-uid] = boxes[name][uid]
                    if what == "move":
                        del after[name][uid]
                self.after = after
                pairs = self.copied(c, want(c.uid(what.upper(), text, to)))
                assert sorted(pairs) == uids, (pairs, uids)
                for old, new in pairs.items():
                    after[to][new] = after[to].pop(-old)
            elif what == "store":
                flags, how = r.sample(FLAGS, r.randint(1, 2)), r.choice(["+", "-", ""])
                for uid in uids:
                    subject, old = boxes[name][uid]
                    new = {"+": {*old, *flags}, "-": {*old} - {*flags}, "": {*flags}}[how]
                    after[name][uid] = [subject, sorted(new)]
                self.after = after
                want(c.uid("STORE", text, f"{how}FLAGS.SILENT", f"({' '.join(flags)})"))
            elif what == "expunge":
                for uid in uids:
                    subject, old = boxes[name][uid]
                    after[name][uid] = [subject, sorted({*old, "\\Deleted"})]
                self.after = after
                want(c.uid("STORE", text, "+FLAGS.SILENT", "(\\Deleted)"))
                self.boxes, after = after, {n: dict(box) for n, box in after.items()}
                for uid in uids:
                    del after[name][uid]
                self.after = after
                want(c.uid("EXPUNGE", text))
        self.boxes, self.after = after, None
        self.done += 1

    def run(self, ready):
        try:
            try:
                c = login()
                self.compare(c)
            finally:
                ready.wait()
            while mode == "work":
                self.step(c)
        except DEAD as gone:
            self.error = f"the service is gone: {gone}" if mode == "look" else None
        except BaseException as error:
            self.error = f"client {self.n}: {error!r}"


if os.path.exists(path):
    with open(path) as file:
        states = json.load(file)
else:
    boxes = {"INBOX": {}, "Common": {}}
    c = login()
    want(c.create("Common"))
    for n in range(WORKERS):
        want(c.create(f"w{n}/m0"))
    states = [{"boxes": {**boxes, f"w{n}/m0": {}}, "after": None, "serial": 0} for n in range(WORKERS)]
imaplib.Commands["MOVE"] = ("SELECTED",)
workers = [Worker(n, states[n]) for n in range(WORKERS)]
ready = threading.Barrier(WORKERS + 1)
threads = [threading.Thread(target=worker.run, args=(ready,)) for worker in workers]
for thread in threads:
    thread.start()
ready.wait()
print("ready", flush=True)
for thread in threads:
    thread.join()
with open(path, "w") as file:
    json.dump([worker.kept() for worker in workers], file)
for worker in workers:
    if worker.error:
        sys.exit(worker.error)
print(sum(worker.done for worker in workers), flush=True)
