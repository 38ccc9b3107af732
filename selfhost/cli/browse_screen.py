"""The screen of `browse`, drawn by Textual: a filter, the settings, the table, and the answer of
`check` for the model at the cursor.

What goes in: a question and the rows of `browse_rows`; keys change the question. Judging runs in a
thread, which posts its rows as messages: the screen never waits for it. A thread is cancelled once
another question has replaced its own, and ends after the model that it is judging.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from rich.text import Text
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.events import Event, Key
from textual.screen import ModalScreen
from textual.suggester import SuggestFromList
from textual.timer import Timer
from textual.widgets import Footer, Input, OptionList, Static
from textual.worker import get_current_worker

from ..core.errors import SelfhostError
from ..core.records import Record
from ..judge.record import Verdict
from ..machine.profiles import names
from ..machine.record import Machine
from ..reports.list_text import legend
from ..reports.screen import Drawn
from .asked import measured_where_unknown, one_machine
from .browse_rows import (
    BrowseOptions,
    BrowseQuestion,
    KeySetting,
    OptionValues,
    Rows,
    ShownRows,
    condition_words,
    may_fit,
    sentence,
    settings,
)
from .browse_table import FITS_IF, ModelTable

# in a narrower terminal the answer has its own screen
_COLUMNS_FOR_TWO = 100
# waits after a letter and after a move, so that neither each letter starts a search nor each model
# passed is judged
_SECONDS_AFTER_LETTER = 0.12
_SECONDS_AFTER_MOVE = 0.06
_HELP = """\
/       filter: words of a name, a maker or a use, as for list
Enter   leave the filter; in the table: the answer on the whole screen
Escape  back to the table; in the table: no filter
f       only what runs, or all models
+ -     a longer or a shorter context
m       another machine: a known one, or such as i5-8250U 16GB
v       every figure of the answer with its source, as check -v
c       copy the `selfhost check` line of the model
C       copy the lines that download and run it
q       quit

s sort    u use     p purpose    t type (quantization)
l license    r runtime   each opens a list: a letter goes to an entry

Signs:  ✓ runs   ✗ does not run   ? cannot tell
        ! runs, but with a condition   ↓ fits in another type or context
        the line above the table says which, of the model at the cursor
~ is a likely pace. Dimmed rows answer the question before the last change."""


class ShownAnswer(Record):
    """The verdict of `check` on a model, with the text to show."""

    id: str
    verdict: Verdict
    text: Drawn


class StatusLine(Static):
    """The line above the keys that says what a key did, or why it did nothing.

    The line takes no room while there is nothing to say. What is said stays until the next key is
    pressed or something else is said: no time is too short to read, copy or hear it.
    """

    DEFAULT_CSS = """
    StatusLine { height: auto; max-height: 50%; padding: 0 1; background: $boost; }
    StatusLine.-silent { display: none; }
    """

    def __init__(self) -> None:
        super().__init__(markup=False)
        self.add_class("-silent")

    def say(self, sentence: str) -> None:
        """Say a sentence in place of the last one; an empty one says nothing."""
        self.set_class(sentence == "", "-silent")
        self.update(sentence)


class Browser(App[Exception | None]):
    """The screen with the list of models. It ends with an error only where the program has a
    bug.
    """

    ENABLE_COMMAND_PALETTE = False
    # the answer stands beside the table only where both have room
    HORIZONTAL_BREAKPOINTS = [
        (0, "narrow"),
        (_COLUMNS_FOR_TWO, "wide"),
    ]
    CSS = """
    Screen { layout: vertical; }
    #filter { border: none; height: 1; padding: 0 1; background: $boost; }
    #summary, #settings { height: auto; padding: 0 1; }
    #summary { color: $text-muted; }
    #both { height: 1fr; }
    ModelTable { width: 3fr; padding: 0 0 0 1; }
    #pane { width: 2fr; min-width: 48; border-left: solid $boost; padding: 0 1; }
    VerticalScroll { scrollbar-size-vertical: 1; scrollbar-gutter: stable; }
    .narrow #pane { display: none; }
    ModalScreen { align: center middle; }
    ModalScreen > Vertical {
        width: 90; max-width: 95%; height: auto; max-height: 90%;
        background: $surface; border: round $primary; padding: 0 1;
    }
    ModalScreen .title { text-style: bold; }
    ModalScreen .hint { color: $text-muted; }
    ModalScreen OptionList { height: auto; max-height: 16; border: none; padding: 0; }
    ModalScreen Input { border: none; height: 1; padding: 0; background: $boost; }
    AnswerScreen > VerticalScroll { background: $background; padding: 0 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "focus_filter", "filter", key_display="/"),
        Binding("m", "ask_machine", "machine"),
        Binding("plus,equals_sign", "step_context(1)", show=False),
        Binding("minus,underscore", "step_context(-1)", show=False),
        Binding("f", "show_all", show=False),
        Binding("c", "copy_command", "copy command"),
        Binding("C", "copy_lines", show=False),
        Binding("v", "show_figures", show=False),
        Binding("escape", "leave", show=False),
        Binding("question_mark", "show_help", "help", key_display="?"),
        Binding("q", "quit", "quit"),
        Binding("ctrl+c", "quit", show=False, priority=True),
    ]

    def __init__(self, options: BrowseOptions, machine: Machine) -> None:
        super().__init__()
        self.typed = " ".join(options.words)
        self.question = BrowseQuestion(options, machine)
        self.rows = Rows(self.question)
        self.settings = settings(self.rows.catalogue)
        for setting in self.settings:
            if setting.key != "f":
                self.bind(setting.key, f"choose('{setting.key}')", show=False)
        self.answer: ShownAnswer | None = None
        self._summary = ""
        # by id: the words for the form in which a model fits that does not run as asked; empty
        # where the model does not fit at all
        self._conditions: dict[str, str] = {}
        # the request that a thread is answering: the question, and the id of the model
        self._asked_about: tuple[BrowseQuestion, str] | None = None
        self._letter_timer: Timer | None = None
        self._move_timer: Timer | None = None

    # ------------------------------------------------------------ the parts of the screen

    def compose(self) -> ComposeResult:
        """The parts, from top to bottom."""
        hint = "filter: words of a name, a maker or a use, such as qwen coder"
        yield Input(self.typed, placeholder=hint, id="filter", select_on_focus=False)
        yield Static(id="summary", markup=False)
        yield Static(id="settings", markup=False)
        with Horizontal(id="both"):
            yield ModelTable()
            with VerticalScroll(id="pane", can_focus=False):
                yield Static(id="answer", markup=False)
        yield StatusLine()
        yield Footer()

    def on_mount(self) -> None:
        """Show the settings, and begin to judge the models."""
        self.table = self.query_one(ModelTable)
        self.table.focus()
        self._write_settings()
        self._judge()

    @property
    def is_at_rest(self) -> bool:
        """Whether nothing is being judged, and nothing waits to be judged."""
        if self._letter_timer is not None or self._move_timer is not None:
            return False
        return all(worker.is_finished for worker in self.workers)

    def _write_settings(self) -> None:
        """Write the line of settings: each key with its present value."""
        options = self.question.options
        line = Text()
        for setting in self.settings:
            chosen = setting.chosen(options)
            line.append_text(_setting_words(setting.key, setting.title, chosen))
        tokens = f"{self.question.context_tokens:,}"
        line.append_text(_setting_words("+/-", "context", tokens))
        self._static("#settings").update(line)

    def _write_summary(self) -> None:
        """Write how many models run, and the meaning of the sign of the model at the cursor."""
        line = Text(self._summary)
        row = self.table.current_row
        if row is not None:
            conditions = legend([row])
            fits = self._conditions.get(row.model.id)
            if fits:
                conditions = [f"{FITS_IF}: {fits}"]
            for condition in conditions:
                line.append(f"  {condition}", "yellow")
        self._static("#summary").update(line)

    async def on_event(self, event: Event) -> None:
        """Take back what was said as soon as another key is pressed, then do what the key does."""
        # an event comes back to the application where no widget has taken it
        if isinstance(event, Key) and not event.is_forwarded:
            self._say("")
        await super().on_event(event)

    def _say(self, sentence: str) -> None:
        """Say a sentence in the status line of the screen in front; a screen without one has no key
        that says anything.
        """
        for line in self.screen.query(StatusLine):
            line.say(sentence)

    def _static(self, name: str) -> Static:
        return self.screen_stack[0].query_one(name, Static)

    # ------------------------------------------------------------ judging

    def _judge(self) -> None:
        """Judge the models of the question in a thread. An earlier thread is given up."""
        self._letter_timer = None
        question = self.question
        typed = self.typed
        if not self.rows.question.asks_the_same(question):
            self.rows = Rows(question)
            self.table.mark_old()
            self._conditions = {}
        rows = self.rows

        def judge() -> None:
            worker = get_current_worker()
            for shown in rows.as_judged(question, typed):
                if worker.is_cancelled:
                    return
                self.call_later(self._show_rows, question, shown)

        self._in_thread(judge, "rows")

    def _in_thread(self, work: Callable[[], None], group: str) -> None:
        """Do the work in a thread, in place of other work of the group.

        A question that makes no sense is reported, and a bug ends the screen.
        """

        def told() -> None:
            try:
                work()
            except Exception as error:
                if not get_current_worker().is_cancelled:
                    self.call_later(self._tell, error)

        self.run_worker(told, group=group, thread=True, exclusive=True)

    def _show_rows(self, question: BrowseQuestion, shown: ShownRows) -> None:
        """Show rows, unless the question has changed since."""
        if question is not self.question:
            return
        self._summary = shown.summary
        self.table.show_rows(shown.rows, shown.pace_title)
        self._write_summary()
        if self.answer is None:
            self._ask_for_answer()

    def _tell(self, error: Exception) -> None:
        """Show why a question makes no sense. Any other error is a bug and ends the screen."""
        if not isinstance(error, SelfhostError):
            self.exit(error)
            return
        self._summary = sentence(error)
        self._write_summary()

    def _ask(self, stated: OptionValues) -> None:
        """Ask another question, unless the question makes no sense."""
        try:
            question = self.question.changed(stated)
        except SelfhostError as error:
            self._say(sentence(error))
            return
        self._take(question)

    def _take(self, question: BrowseQuestion) -> None:
        """Judge the models of another question, and show the rows."""
        self.question = question
        self._write_settings()
        self._judge()
        self.answer = None
        self._ask_for_answer()

    # ------------------------------------------------------------ the answer for one model

    def on_model_table_moved(self, _message: ModelTable.Moved) -> None:
        """Ask about the model at the cursor once the cursor rests."""
        self._write_summary()
        if self._move_timer is not None:
            self._move_timer.stop()
        self._move_timer = self.set_timer(_SECONDS_AFTER_MOVE, self._ask_for_answer)

    def _ask_for_answer(self) -> None:
        """Get the verdict of `check` on the model at the cursor in a thread, unless a thread gets
        it already.
        """
        self._move_timer = None
        id = self.table.current_id
        if id is None:
            self.answer = None
            self._static("#answer").update("")
            return
        question = self.question
        rows = self.rows
        if self._asked_about == (question, id):
            return
        self._asked_about = (question, id)

        def ask() -> None:
            verdict = rows.verdict(question, id)
            text = Drawn(tuple(rows.blocks(question, verdict)))
            answer = ShownAnswer(id=id, verdict=verdict, text=text)
            if not get_current_worker().is_cancelled:
                self.call_later(self._show_answer, question, answer)

        self._in_thread(ask, "answer")

    def _show_answer(self, question: BrowseQuestion, answer: ShownAnswer) -> None:
        """Show an answer, unless the question or the cursor has moved on."""
        self._asked_about = None
        if question is self.question and answer.id == self.table.current_id:
            self.answer = answer
            self._static("#answer").update(answer.text)
            if isinstance(self.screen, AnswerScreen):
                self.screen.show(answer.text)
            self._ask_for_conditions()

    def _ask_for_conditions(self) -> None:
        """Find in a thread the models on the screen that do not run as asked, but would fit in
        another type or context.
        """
        question = self.question
        rows = self.rows
        ids: list[str] = []
        for row in self.table.rows_on_screen():
            if may_fit(row) and row.model.id not in self._conditions:
                ids.append(row.model.id)

        def ask() -> None:
            worker = get_current_worker()
            for id in ids:
                if worker.is_cancelled:
                    return
                words = condition_words(rows.verdict(question, id))
                self.call_later(self._show_condition, question, id, words)

        if ids:
            self._in_thread(ask, "conditions")

    def _show_condition(
        self,
        question: BrowseQuestion,
        id: str,
        words: str,
    ) -> None:
        """Mark a model that does not run as asked but fits as the words say. The words are empty
        for a model that does not fit at all.
        """
        if not self.question.asks_the_same(question):
            return
        self._conditions[id] = words
        if words:
            self.table.mark_conditional(id)
            self._write_summary()

    def on_model_table_opened(self, _message: ModelTable.Opened) -> None:
        """Show the answer on a screen of its own."""
        text = Drawn(()) if self.answer is None else self.answer.text
        self.push_screen(AnswerScreen(text))

    # ------------------------------------------------------------ keys

    def action_focus_filter(self) -> None:
        """Type words that each model must have."""
        self.query_one("#filter", Input).focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Search once the typing rests."""
        if event.input.id != "filter" or event.value == self.typed:
            return
        self.typed = event.value
        if self._letter_timer is not None:
            self._letter_timer.stop()
        self._letter_timer = self.set_timer(_SECONDS_AFTER_LETTER, self._judge)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Go back to the table."""
        if event.input.id == "filter":
            self.table.focus()

    def action_leave(self) -> None:
        """Go back to the table. In the table, remove the filter."""
        if self.table.has_focus:
            self.query_one("#filter", Input).value = ""
        self.table.focus()

    def action_choose(self, key: str) -> None:
        """Let the user choose among the values of a key's setting."""
        setting = next(setting for setting in self.settings if setting.key == key)
        chosen = setting.chosen(self.question.options)

        def take(name: str | None) -> None:
            if name is not None:
                self._ask(setting.choices[name])

        self.push_screen(ChoiceScreen(setting, chosen), take)

    def action_show_all(self) -> None:
        """Show all models, or only those that run."""
        self._ask({"all": not self.question.options.all})

    def action_show_figures(self) -> None:
        """Show every figure of the answer, or only those that decide."""
        self._ask({"verbose": not self.question.options.verbose})

    def action_step_context(self, step: int) -> None:
        """Ask about the next longer or shorter context."""
        question = self.question.with_next_context(step)
        if question is None:
            self._say("there is no such context to step to; --context takes any")
        else:
            self._take(question)

    def action_ask_machine(self) -> None:
        """Ask about another machine."""

        def take(question: BrowseQuestion | None) -> None:
            if question is not None:
                self._take(question)

        self.push_screen(MachineScreen(self.question), take)

    def action_copy_command(self) -> None:
        """Copy the shell command that asks about the model."""
        id = self.table.current_id
        if id is not None:
            self._copy(self.question.command(id))

    def action_copy_lines(self) -> None:
        """Copy the lines that download and run the model."""
        if self.answer is None or not self.answer.verdict.commands:
            self._say("there is no line that runs this model here")
            return
        self._copy("\n".join(self.answer.verdict.commands))

    def _copy(self, text: str) -> None:
        """Put the text into the clipboard, by the terminal's OSC 52, and show it."""
        self.copy_to_clipboard(text)
        self._say(f"copied: {text}")

    def action_show_help(self) -> None:
        """Show what each key does."""
        self.push_screen(HelpScreen())


def _setting_words(
    key: str,
    title: str,
    chosen: str,
) -> Text:
    """The key, the title and the chosen value of a setting, joined so that they stay on one
    line.
    """
    words = Text.assemble((key, "bold"), " ", (title, "dim"), " ", chosen)
    words.plain = words.plain.replace(" ", "\N{NO-BREAK SPACE}")
    return words.append("  ")


# ---------------------------------------------------------------- screens above it


class AnswerScreen(ModalScreen[None]):
    """The answer for one model on the whole screen."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,enter,q", "dismiss", "back"),
        Binding("c", "app.copy_command", "copy command"),
        Binding("C", "app.copy_lines", "copy lines that run it"),
    ]

    def __init__(self, text: Drawn) -> None:
        super().__init__()
        self._text = text

    def compose(self) -> ComposeResult:
        """The answer, to scroll in."""
        with VerticalScroll():
            yield Static(self._text, id="whole", markup=False)
        yield StatusLine()
        yield Footer()

    def show(self, text: Drawn) -> None:
        """Show another answer."""
        self.query_one("#whole", Static).update(text)


class HelpScreen(ModalScreen[None]):
    """The screen that explains each key."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,enter,q,question_mark", "dismiss", "back", key_display="esc")
    ]

    def compose(self) -> ComposeResult:
        """The keys and the signs."""
        with Vertical():
            # at the top, because a terminal of 24 lines shows no more
            yield Static("selfhost browse: keys · Escape: back", classes="title")
            yield Static(_HELP, markup=False)


class ChoiceScreen(ModalScreen[str | None]):
    """The screen with the choices of one setting."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "dismiss", "back", show=False)
    ]

    def __init__(self, setting: KeySetting, chosen: str) -> None:
        super().__init__()
        self._title = setting.title
        self._names = list(setting.choices)
        self._chosen = chosen

    def compose(self) -> ComposeResult:
        """The choices, the present one marked by the cursor."""
        with Vertical():
            yield Static(self._title, classes="title")
            yield OptionList(*self._names)
            yield Static("Enter: take it · Escape: back", classes="hint")

    def on_mount(self) -> None:
        """Put the cursor on the chosen value."""
        choices = self.query_one(OptionList)
        choices.focus()
        if self._chosen in self._names:
            choices.highlighted = self._names.index(self._chosen)

    def on_key(self, event: Key) -> None:
        """Go to the next choice that begins with the letter."""
        letter = event.character
        if letter is None or not letter.isalnum():
            return
        choices = self.query_one(OptionList)
        begin = 0
        if choices.highlighted is not None:
            begin = choices.highlighted + 1
        for name in [*self._names[begin:], *self._names[:begin]]:
            if name.lower().startswith(letter.lower()):
                choices.highlighted = self._names.index(name)
                event.stop()
                return

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Take the choice."""
        self.dismiss(self._names[event.option_index])


class MachineScreen(ModalScreen[BrowseQuestion | None]):
    """The screen that asks for the name or the description of a machine until it is understood."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss", "back", show=False)
    ]

    def __init__(self, question: BrowseQuestion) -> None:
        super().__init__()
        self._question = question

    def compose(self) -> ComposeResult:
        """The field, which completes the names of known machines, and what is wrong."""
        typed = self._question.options.machine or ""
        hint = "empty: this machine; else a name, or as i5-8250U 16GB"
        known = SuggestFromList(names(), case_sensitive=False)
        with Vertical():
            yield Static("machine", classes="title")
            yield Input(typed, placeholder=hint, suggester=known, id="machine")
            yield Static(id="problem", markup=False)
            yield Static(
                "Enter: take it · →: the whole name · Escape: back", classes="hint"
            )

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Take what was typed."""
        event.stop()
        self._find(event.value.strip())

    def _find(self, typed: str) -> None:
        """Find the machine that was typed in a thread, because a driver may have to be asked."""
        text = typed or None
        question = self._question

        def find() -> None:
            try:
                options = question.changed({"machine": text}).options
                machine = measured_where_unknown(options, one_machine(options))
            except SelfhostError as error:
                self.call_later(self._tell, sentence(error))
                return
            stated = {"machine": text, "notes": options.notes}
            self.app.call_later(self.dismiss, question.changed(stated, machine))

        self.run_worker(find, thread=True, exclusive=True)

    def _tell(self, problem: str) -> None:
        """Say why there is no such machine."""
        self.query_one("#problem", Static).update(problem)
        self.query_one("#machine", Input).focus()
