"""Messages as a conversation: who and when in front, long texts folded, a line whenever partner or day change."""

from __future__ import annotations

import re
from collections import OrderedDict, deque
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from xmppsh import ns
from xmppsh.output import safe
from xmppsh.shell.shown.events import happened, is_event
from xmppsh.shell.shown.invitation import invitation
from xmppsh.shell.shown.look import LEAST_COLUMNS, cut, folded, plain, width
from xmppsh.shell.shown.refers import reference
from xmppsh.texts import local, rfc3339

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from xmppsh.output.records import MessageRecord
    from xmppsh.shell.shown.look import Palette
    from xmppsh.shell.shown.people import People
    from xmppsh.shell.shown.refers import Reference

KEPT_CONVERSATIONS = 50
KEPT_SENDERS = 1000  # whose unread messages are counted, and who is writing
KEPT_MESSAGES = 200  # of one conversation, for /last
KEPT_CHARACTERS = 2000  # of one message
QUOTED_CHARACTERS = 40  # of one that another is about
NAME_COLUMNS = 8  # names that are shorter are filled up, so that texts begin below each other
RULE = "─"
ME = "/me "  # who says that acts (XEP-0245)
CHAT_STATES = f"{{{ns.CHAT_STATES}}}"
# What is said by machines to machines: receipts, markers, hints. It is no message to people.
SILENT = (
    CHAT_STATES,
    f"{{{ns.RECEIPTS}}}",
    f"{{{ns.CHAT_MARKERS}}}",
    f"{{{ns.HINTS}}}",
    f"{{{ns.SID}}}",
    f"{{{ns.DELAY}}}",
    f"{{{ns.MUC_USER}}}",
    f"{{{ns.JINGLE_MESSAGE}}}",
)
# What says something to people without a text.
WORDLESS = {
    f"{{{ns.JINGLE_MESSAGE}}}propose": "calls; a call cannot be taken here",
    f"{{{ns.ATTENTION}}}attention": "asks for your attention",
}
REPLACES = f"{{{ns.CORRECTION}}}replace"
OURS = r"[\s*]*you\b"  # what our own messages begin with; a nickname or account that does is written out
ELSEWHERE = "elsewhere"  # said by another client of ours
MARKS = {ELSEWHERE: "", "waits": "…", "acked": "✓", "delivered": "✓✓", "read": "✓✓", "failed": "✗", "came back": "✗"}
KINDS_OF_MARKS = {
    ELSEWHERE: "good",
    "waits": "mark",
    "acked": "good",
    "delivered": "good",
    "read": "name",
    "failed": "bad",
    "came back": "bad",
}


def is_silent(record: MessageRecord) -> bool:
    """Does this message say nothing to people?"""
    says_nothing = record.body is None and not record.subject
    # A room without a subject ends the entering with an empty one (XEP-0045 §7.2.15).
    is_known = bool(record.payloads) or record.subject is not None
    is_silent = says_nothing and is_known and all(name.startswith(SILENT) for name in record.payloads)
    return is_silent and _wordless(record) is None and invitation(record) is None


def _wordless(record: MessageRecord) -> str | None:
    """What somebody wants of us without a word."""
    if record.carbon == "sent":
        return None
    told = [WORDLESS[name] for name in record.payloads if name in WORDLESS]
    return told[0] if told and record.body is None else None


def chat_state(record: MessageRecord) -> str | None:
    """`composing`, `paused`, … where the message tells one (XEP-0085)."""
    states = [name for name in record.payloads if name.startswith(CHAT_STATES)]
    return states[0].removeprefix(CHAT_STATES) if states else None


class _Said(NamedTuple):
    """color: the address whose colour the name has; mark: for a message of ours a key of MARKS."""

    stamp: str
    color: str
    who: str
    text: str
    mark: str | None = None
    stanza_id: str | None = None


class Conversation:
    """What was said, by partner; the text of each new message for the terminal.

    columns: those of the terminal, asked for each time, since windows change.
    """

    def __init__(
        self, palette: Palette, people: People, columns: Callable[[], int], now: Callable[[], datetime]
    ) -> None:
        self.unread: dict[str, int] = {}
        self.typing: dict[str, str] = {}  # bare address → short name of who writes
        self.typing_changes = 0  # how often that was another one: who came and went between two looks is one as well
        self._gone: dict[str, bool] = {}  # who was told last not to be online
        self._palette, self._people, self._columns, self._now = palette, people, columns, now
        self._kept: OrderedDict[str, deque[_Said]] = OrderedDict()
        self._partner: str | None = None
        self._day: date | None = None

    # ── What is printed ─────────────────────────────────────────────────────────────────────────────────────────

    def incoming(self, record: MessageRecord, *, current: str | None) -> str:
        """The text of a message that came, newline included; empty for one that says nothing to people.

        current: the partner of the line that is typed; others' messages count as unread.
        """
        if record.carbon == "sent":
            return self._said_elsewhere(record)
        bare, _, resource = (record.from_ or "").partition("/")
        state = chat_state(record)
        writes = state == "composing" and record.body is None and bare not in self._gone
        self._note_typing(bare, self._people.short(bare) if writes else None)
        if is_silent(record):
            return ""
        if bare != current:
            self.unread[bare] = self.unread.pop(bare, 0) + 1
            _shorten(self.unread)
        who = resource if resource and (record.room or bare in self._people.rooms) else self._people.short(bare)
        if re.match(OURS, who, re.IGNORECASE):
            who = record.from_ or ""
        if record.room:
            self._replace_own(bare, record.id)
        color = record.from_ if record.room else bare
        said = _Said(record.stamp, color or "", who, "", None, record.id)
        return self._told(bare, said._replace(text=self._text(record, bare, said)))

    def _said_elsewhere(self, record: MessageRecord) -> str:
        """What another client of ours has said; whoever answers has read what came before."""
        if is_silent(record):
            return ""
        partner = (record.to or "").partition("/")[0]
        self.read(partner)
        said = _Said(record.stamp, "", "you", "", ELSEWHERE, record.id)
        return self._told(partner, said._replace(text=self._text(record, partner, said)))

    def words(self, record: MessageRecord, partner: str) -> str:
        """What a message of ours says, for the terminal."""
        return self._text(record, partner, _Said(record.stamp, "", "you", ""))

    def own(self, partner: str, stamp: str, words: str, mark: str, stanza_id: str) -> str:
        """The text of a message of ours, with what became of it: a key of MARKS.

        It is kept once, as it was told last.
        """
        said = _Said(stamp, "", "you", words, mark, stanza_id)
        if self.mark(partner, {stanza_id}, mark):
            return self._row(partner, said)
        return self._told(partner, said)

    def _replace_own(self, room: str, stanza_id: str | None) -> None:
        """The room says a message of ours, which was shown before it did: it is kept as the room says it."""
        for said in [one for one in self._kept.get(room, ()) if one.mark is not None and one.stanza_id == stanza_id]:
            self._kept[room].remove(said)

    def mark(self, partner: str, ids: Collection[str], mark: str) -> bool:
        """Messages of ours have come further; False where none of them is kept."""
        kept = self._kept.get(partner, deque())
        places = [at for at, said in enumerate(kept) if said.mark is not None and said.stanza_id in ids]
        for at in places:
            kept[at] = kept[at]._replace(mark=mark)
        return bool(places)

    def presence(self, partner: str, *, is_online: bool) -> None:
        """Who is not online any more writes nothing, whatever was told before. Messages wait to be printed and presence
        does not, so what was told before may be read after it."""
        self._gone.pop(partner, None)
        if not is_online:
            self._note_typing(partner, None)
            self._gone[partner] = True
            _shorten(self._gone)

    def _note_typing(self, partner: str, name: str | None) -> None:
        self.typing_changes += self.typing.pop(partner, None) != name
        if name is not None:
            self.typing[partner] = name
            _shorten(self.typing)

    def read(self, partner: str | None) -> None:
        """The partner is written to from now on: nothing of his is unread."""
        if partner is not None:
            self.unread.pop(partner, None)

    def last(self, partner: str, count: int) -> str:
        """The last messages of a conversation, again."""
        kept = list(self._kept.get(partner, ()))[-count:] if count else []
        self._partner = None
        return "".join(self._row(partner, one) for one in kept)

    # ── How ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def _told(self, partner: str, said: _Said) -> str:
        kept = self._kept.setdefault(partner, deque(maxlen=KEPT_MESSAGES))
        self._kept.move_to_end(partner)
        if len(self._kept) > KEPT_CONVERSATIONS:
            self._kept.popitem(last=False)
        kept.append(said._replace(text=cut(said.text, KEPT_CHARACTERS)))
        return self._row(partner, said)

    def _row(self, partner: str, said: _Said) -> str:
        when = local(datetime.fromisoformat(said.stamp))
        head = self._header(partner, when.date())
        columns = max(self._columns(), LEAST_COLUMNS)
        acts = said.text.startswith(ME)
        who = said.who if said.mark is None else f"{said.who} {MARKS[said.mark]}".rstrip()
        name, text = safe.line(f"* {who}" if acts else who), said.text.removeprefix(ME)
        if width(name) > columns // 3:
            name = name[: columns // 3 - 1] + "…"
        name += " " * (NAME_COLUMNS - width(name))
        begin = len("00:00 ") + width(name) + 1
        kind = KINDS_OF_MARKS.get(said.mark or "")
        painted = self._palette.kind(kind, name) if kind else self._palette.person(said.color, name)
        lead = f"{self._palette.kind('dim', f'{when:%H:%M}')} {painted} "
        if columns - begin < LEAST_COLUMNS:
            begin = 2
            rows = ["", *folded(text, begin, columns)]
        else:
            rows = folded(text, begin, columns)
        indent = "\n" + " " * begin
        return f"{head}{lead}{indent.join(rows)}".rstrip(" ") + "\n"

    def _header(self, partner: str, day: date) -> str:
        if (partner, day) == (self._partner, self._day):
            return ""
        self._partner, self._day = partner, day
        today = self._now().astimezone().date()
        when = "today" if day == today else f"{day:%a %d %b %Y}" if day.year != today.year else f"{day:%a %d %b}"
        title = safe.line(partner) or "the server"
        rest = self._columns() - width(title) - len(when) - 8
        if rest < 0:
            return self._palette.kind("dim", f"{RULE * 2} {title}") + "\n"
        return self._palette.kind("dim", f"{RULE * 2} {title} {RULE * rest} {when} {RULE * 2}") + "\n"

    def _text(self, record: MessageRecord, partner: str, said: _Said) -> str:
        marks = []
        if record.type == "headline":
            marks.append("[headline]")
        if partner in self._people.rooms and not record.room:
            marks += _to_one(record, partner)
        if record.carbon == "sent":
            marks.append("[sent elsewhere]")
        if (invited := invitation(record)) is not None:
            marks.append(invited.mark)
        if REPLACES in record.payloads:
            marks.append("[corrected]")
        if record.encrypted:
            marks.append("[encrypted: it cannot be read here]")
        shown = self._palette.kind("mark", " ".join(marks)) + (" " if marks else "")
        if record.subject:
            shown += self._palette.kind("bold", f"[{safe.line(record.subject)}]") + " "
        if is_event(record):
            shown = f"{ME}{happened(record)}"
        elif (wordless := _wordless(record)) is not None:
            shown = f"{ME}{wordless}"
        elif (about := reference(record)) is not None:
            shown = f"{ME}{about.what} {self._earlier(partner, about, said)}"
        elif record.body is not None:
            body = safe.block(record.body.rstrip("\n"), "")
            shown += self._palette.kind("dim", body) if record.encrypted else body
        elif invited is not None:
            shown += invited.text
        elif not record.subject and not marks:
            names = ", ".join(safe.line(name.rpartition("}")[2]) for name in record.payloads)
            shown += self._palette.kind("dim", f"(no text; {names or 'empty'})")
        if invited is not None and invited.line:
            shown += "\n" + self._palette.kind("name", invited.line)
        for url in record.oob:
            if url != record.body:
                shown += "\n" + self._palette.kind("link", safe.line(url))
        return shown

    def _earlier(self, partner: str, about: Reference, said: _Said) -> str:
        """The message that another one is about, by its first words. What its author takes back is not shown again."""
        kept = self._kept.get(partner, deque())
        for at in reversed(range(len(kept))):
            if kept[at].stanza_id != about.stanza_id or (about.retracts and kept[at].color != said.color):
                continue
            first = cut(plain(kept[at].text).partition("\n")[0], QUOTED_CHARACTERS)
            if about.retracts:
                kept[at] = kept[at]._replace(text=self._palette.kind("dim", "(retracted)"))
            return f"“{first}”"
        return "an earlier message"


def _to_one(record: MessageRecord, room: str) -> Iterator[str]:
    """To whom something is said in a room that not all may hear."""
    (sender, _, nick), (bare, _, alone) = (record.from_ or "").partition("/"), (record.to or "").partition("/")
    if sender == room and nick:
        yield "[to you alone]"
    elif bare == room and alone:
        yield f"[to {safe.line(alone)} alone]"


def _shorten(senders: dict[str, Any]) -> None:
    """Drop the one that is the longest there, where there are too many: anybody may write to us."""
    if len(senders) > KEPT_SENDERS:
        del senders[next(iter(senders))]


def stamp_of(moment: datetime) -> str:
    """A time as records have it."""
    return rfc3339(moment)
