"""The records of a pace, which verdicts hold.

Every pace is the same sum: bytes divided by the read rate, operations divided by the compute rate,
and a fixed time for each layer. `decode_step` has the bytes and the layers of one step of decoding,
`ranges` the arithmetic, `figures` and `tables` the figures of the file, `processor`, `reading`,
`cores`, `rates` and `prompts` the devices, `layout` and `experts` the places of a model.
`decoding`, `sequences` and `text` have the pace of text; `job`, `work` and `media` have the pace of
other work.
"""

from __future__ import annotations

from ...core import units
from ...core.records import Record
from .decode_step import PLAIN_TYPES, Step
from .ranges import Range

__all__ = ["PLAIN_TYPES", "Range", "Step"]


# units of the pace of work other than text
DOCUMENTS = "documents_per_second"
PICTURES_READ = "pictures_per_second"
IMAGE = "seconds_per_image"
VIDEO = "seconds_per_video"
AUDIO = "seconds_per_audio_minute"
MUSIC = "seconds_per_music_minute"
TRAINED = "trained_tokens_per_second"
# the words behind the figure of a pace; for audio, others name the minutes that are heard
_WORK = {
    IMAGE: " a picture",
    VIDEO: " a clip",
    MUSIC: " for a minute of music",
    DOCUMENTS: " documents/s",
    PICTURES_READ: " pictures/s",
    TRAINED: " tokens/s",
}


class Speed(Record):
    """The expected pace of a model. `how` says in a sentence for the user what the pace rests on.

    `decode` and `prompt` are rates of text in tokens per second, `work` is the pace of other work
    in `unit`. None: not asked for, or not known.

    - `first_token_seconds`: the wait behind the stated prompt. `dataset_seconds`: the time to train
      on the stated tokens.
    - `parallel_total`: the total rate of all sequences that are computed at once. `each_of`: the
      number of users who share that rate. `waiting`: the number of users who wait for their turn,
      because memory holds no more; None for one user alone. `full_contexts`: the users of whom
      memory holds the full context at once, where it does not hold those of all; None elsewhere.
    - `full_context_tokens_per_second`: the decode rate once the context is full, where that is less
      than nine tenths of `decode`. `undrafted_tokens_per_second`: the decode rate without the draft
      that `decode` counts; in an answer, where the same files then lie.
    - `crossing_seconds`: the time in which weights in RAM are copied to a GPU for each batch of a
      prompt.
    - `clip`: frames, width and height of a generated video, played at `frames_per_second`.
    """

    decode: Range | None = None
    prompt: Range | None = None
    work: Range | None = None
    unit: str = "tokens_per_second"
    how: str
    crossing_seconds: float = 0.0
    first_token_seconds: Range | None = None
    dataset_seconds: Range | None = None
    parallel_total: Range | None = None
    each_of: int = 1
    waiting: int | None = None
    full_contexts: int | None = None
    full_context_tokens_per_second: float | None = None
    undrafted_tokens_per_second: float | None = None
    audio_seconds: int | None = None
    clip: tuple[int, int, int] | None = None
    frames_per_second: int | None = None

    @property
    def judged(self) -> Range | None:
        """The rate that is compared with the wanted pace: the tokens per second of each user,
        including users who wait for their turn. None where that rate is not known.
        """
        if self.each_of == 1:
            return self.decode
        if self.parallel_total is None:
            return None
        return self.parallel_total / self.each_of

    def in_turn(
        self, users: int, at_once: int, full_contexts: int | None = None
    ) -> Speed:
        """The pace of `at_once` users, where they and others are served in turn: `users` in all,
        who share the rate of those that are computed at once. The full contexts of `full_contexts`
        have room at once; None for those of all that are computed.
        """
        total = self.decode if at_once == 1 else self.parallel_total
        if full_contexts is None:
            full_contexts = at_once
        return self.replace(
            parallel_total=total,
            each_of=users,
            waiting=users - at_once,
            full_contexts=full_contexts,
        )

    def work_words(self) -> tuple[str, str]:
        """The likely pace of work that is no text, and its ends, in words.

        The words are `12 minutes for an hour of audio`, or for the stated length of audio, and `6
        to 40 minutes`.
        """
        pace = self.work or Range.of(0)
        what = _WORK.get(self.unit, "")
        if self.unit == TRAINED:
            what += f" in training, {units.duration(1e6 / pace.likely)} for a million"
        if not self.unit.startswith("seconds"):
            return f"{units.pace(pace.likely)}{what}", units.pace(pace.low, pace.high)
        if self.unit == AUDIO:
            heard = "an hour"
            if self.audio_seconds:
                heard = units.duration(self.audio_seconds)
            what = f" for {heard} of audio"
            pace *= (self.audio_seconds or 3600) / 60
        ends = units.between(units.duration, pace.low, pace.high)
        return f"{units.duration(pace.likely)}{what}", ends


class Wait(Record):
    """The seconds until the first token behind a prompt of the given length; None where they are
    not known.

    `what` names a text of that length, such as `a page`; None for a stated prompt.
    """

    prompt_tokens: int
    what: str | None
    seconds: Range | None
