"""The scheduler against every mix of arrivals, ends and cancellations that hypothesis finds."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.engine.line import PATIENCE
from models.engine.scheduler import Chunk, Load, Move, Plan, Scheduler, Turn
from models.engine.ticket import PRIORITIES, Priority, Ticket
from models.errors import Overloaded

CHUNK = 4
LONGEST = 15 + 10  # prompt and answer
LAST_EVENT = 40  # step of the last arrival or cancellation
ENOUGH = 1500  # steps in which every request must have ended


@dataclass
class Job:
    """A request that hypothesis made up."""

    prompt: int
    answer: int
    """Tokens it writes."""
    arrives: int
    """Step of its arrival."""
    cancelled: int | None = None
    """Step of its cancellation."""
    priority: Priority = "pupil"
    client: str = ""
    held: int = 0
    """Tokens of its prompt that are held elsewhere."""
    lucky: int = 0
    """Guesses of a turn that come true."""


def jobs(**fixed: object) -> st.SearchStrategy[list[Job]]:
    parts: dict[str, st.SearchStrategy[object]] = {
        "prompt": st.integers(1, 15),
        "answer": st.integers(1, 10),
        "arrives": st.integers(0, 20),
        "cancelled": st.none() | st.integers(0, LAST_EVENT),
        "priority": st.sampled_from(PRIORITIES),
        "client": st.sampled_from(("", "ana", "beto")),
        "held": st.integers(0, 20),
        "lucky": st.integers(0, 5),
    }
    parts |= {name: st.just(value) for name, value in fixed.items()}
    return st.lists(st.builds(Job, **parts), max_size=12)  # type: ignore[arg-type]


@dataclass
class World:
    """Carries plans out on slots that remember whose tokens they hold."""

    slots: int
    limit: int
    jobs: list[Job]
    rows: int = 1000
    owners: dict[int, list[tuple[int, int]]] = field(default_factory=dict)
    """Slot -> (request, place) of each token in it."""
    written: dict[int, int] = field(default_factory=dict)
    started: list[int] = field(default_factory=list)
    preempted: list[tuple[int, int]] = field(default_factory=list)
    """(who lost a slot, for whom)"""
    ended: dict[int, str] = field(default_factory=dict)
    refused: set[int] = field(default_factory=set)
    log: list[Plan] = field(default_factory=list)

    def run(self) -> "World":
        scheduler = Scheduler(self.slots, self.limit, CHUNK, self.rows)
        for now in range(ENOUGH):
            if now > LAST_EVENT and scheduler.active == scheduler.waiting == 0:
                return self
            for number, job in enumerate(self.jobs):
                if job.arrives == now:
                    self.submit(scheduler, number, job)
                if job.cancelled == now:
                    scheduler.cancel(number)
            plan = scheduler.plan(now, lambda number: self.jobs[number].held)
            assert scheduler.rows <= self.rows
            assert scheduler.active <= self.slots
            self.log.append(plan)
            self.carry_out(plan, scheduler)
        raise AssertionError("somebody starves")

    def submit(self, scheduler: Scheduler, number: int, job: Job) -> None:
        ticket = Ticket(number, job.prompt, job.answer, None, job.priority, job.client)
        try:
            scheduler.submit(ticket)
        except Overloaded as busy:
            assert (busy.position, busy.limit) == (self.limit + 1, self.limit)
            self.refused.add(number)

    def carry_out(self, plan: Plan, scheduler: Scheduler) -> None:
        for number, reason in plan.dropped:
            assert number not in self.ended
            self.ended[number] = reason
        for move in plan.moves:
            assert move.source > move.target
            self.owners[move.target] = self.owners.pop(move.source)[: move.length]
        self.take_turns(plan, scheduler)
        if plan.load is not None:
            assert plan.load.slot == len(plan.turns)
            self.owners[plan.load.slot] = self.places(plan.load.number, 0, plan.load.length)
        newcomer = plan.chunk is not None and self.read(plan.chunk, scheduler)
        for number in plan.preempted:
            assert newcomer
            assert plan.chunk is not None
            self.preempted.append((number, plan.chunk.number))

    def take_turns(self, plan: Plan, scheduler: Scheduler) -> None:
        assert sum(turn.draft for turn in plan.turns) <= CHUNK
        for slot, turn in enumerate(plan.turns):
            job = self.jobs[turn.number]
            length = job.prompt + self.written[turn.number] - 1
            assert turn.length == length
            assert self.owners[slot][:length] == self.places(turn.number, 0, length)
            assert 0 <= turn.draft <= job.answer - self.written[turn.number] - 1
            tokens = 1 + min(turn.draft, job.lucky)
            self.owners[slot] = self.places(turn.number, 0, length + tokens)
            self.write(turn.number, tokens, scheduler)

    def read(self, chunk: Chunk, scheduler: Scheduler) -> bool:
        """Whether it is the first chunk since the request got its slot."""
        number, job = chunk.number, self.jobs[chunk.number]
        assert 0 < chunk.stop - chunk.start <= CHUNK
        assert chunk.slot < self.slots
        load = self.log[-1].load
        first = chunk.start == (load.length if load is not None else 0)
        if chunk.start == 0:
            self.owners[chunk.slot] = []
        if first and number not in self.started:
            self.started.append(number)
        assert self.owners[chunk.slot][: chunk.start] == self.places(number, 0, chunk.start)
        self.owners[chunk.slot] = self.places(number, 0, chunk.stop)
        written = self.written.get(number, 0)
        assert chunk.stop <= job.prompt + max(written - 1, 0)
        assert chunk.last == (chunk.stop == job.prompt and not written)
        if chunk.last:
            self.write(number, 1, scheduler)
        return first

    def write(self, number: int, tokens: int, scheduler: Scheduler) -> None:
        self.written[number] = self.written.get(number, 0) + tokens
        scheduler.wrote(number, tokens)
        if self.written[number] == self.jobs[number].answer:
            assert number not in self.ended
            self.ended[number] = "finished"
            scheduler.finish(number)

    @staticmethod
    def places(number: int, start: int, stop: int) -> list[tuple[int, int]]:
        return [(number, place) for place in range(start, stop)]


@given(jobs(), st.integers(1, 4), st.integers(1, 5), st.integers(LONGEST, 80))
def test_every_request_ends_no_slot_is_mixed_up_and_no_row_is_spent_twice(
    made: list[Job], slots: int, limit: int, rows: int
) -> None:
    world = World(slots, limit, made, rows).run()
    assert set(world.ended) | world.refused == set(range(len(made)))
    assert set(world.ended) & world.refused == set()
    for number, count in world.written.items():
        assert count <= made[number].answer


@given(jobs(client="", cancelled=None), st.integers(1, 4))
def test_first_come_is_first_served_in_every_class(made: list[Job], slots: int) -> None:
    world = World(slots, 20, made).run()
    arrivals = sorted(range(len(made)), key=lambda n: (made[n].arrives, n))
    numbered = [made[n] for n in arrivals]  # a number tells who came earlier
    world = World(slots, 20, numbered).run()
    for priority in PRIORITIES:
        of_class = [n for n in world.started if numbered[n].priority == priority]
        assert of_class == sorted(of_class)


@given(jobs(), st.integers(1, 4), st.integers(LONGEST, 80))
def test_only_a_better_class_takes_a_slot(made: list[Job], slots: int, rows: int) -> None:
    world = World(slots, 20, made, rows).run()
    for loser, winner in world.preempted:
        ranks = [PRIORITIES.index(made[n].priority) for n in (loser, winner)]
        assert ranks[0] > ranks[1]


@given(jobs(priority="pupil"), st.integers(1, 4))
def test_who_decodes_gets_a_token_in_every_step(made: list[Job], slots: int) -> None:
    world = World(slots, 20, made).run()
    assert world.preempted == []
    for before, after in zip(world.log, world.log[1:], strict=False):
        left = {number for number, _ in after.dropped}
        going = {turn.number for turn in before.turns if turn.number not in world.ended} - left
        assert going <= {turn.number for turn in after.turns}


@given(jobs(held=0), st.integers(1, 4))
def test_the_cuts_of_a_prompt_depend_on_the_prompt_alone(made: list[Job], slots: int) -> None:
    world = World(slots, 20, made).run()
    for chunk in (plan.chunk for plan in world.log if plan.chunk is not None):
        prompt = made[chunk.number].prompt
        if chunk.start < prompt:
            assert chunk.start % CHUNK == 0
            assert chunk.stop == min(chunk.start + CHUNK, prompt)
        else:  # what it wrote before it lost its slot
            assert (chunk.start - prompt) % CHUNK == 0


def waiting_for(number: int, priority: Priority, slots: int) -> int:
    """Admissions until request `number` starts while every step brings another pupil."""
    scheduler = Scheduler(slots, 100, CHUNK, 1000)
    for early in range(number):
        scheduler.submit(Ticket(early, 3, 4))
    scheduler.submit(Ticket(number, 3, 4, priority=priority))
    started = 0
    for now in range(number + 1, 2000):
        if scheduler.waiting < 90:
            scheduler.submit(Ticket(now, 3, 4))
        plan = scheduler.plan(now)
        for turn in plan.turns:
            scheduler.wrote(turn.number, 1)
            if turn.length - 3 + 2 == 4:
                scheduler.finish(turn.number)
        if plan.chunk is not None:
            scheduler.wrote(plan.chunk.number, 1)
            started += 1
            if plan.chunk.number == number:
                return started
    raise AssertionError("it starves")


@given(st.integers(0, 20), st.sampled_from(("teacher", "batch")), st.integers(1, 4))
def test_nobody_starves_behind_endless_pupils(number: int, priority: Priority, slots: int) -> None:
    assert waiting_for(number, priority, slots) <= PATIENCE * (number + 2)


@given(st.integers(1, 4))
def test_what_started_in_the_turn_of_the_oldest_keeps_its_slot(slots: int) -> None:
    batch = Job(3, 10, 0, priority="batch")
    pupils = [Job(3, 3, arrives=n) for n in range(12)]
    world = World(slots, 50, [batch, *pupils]).run()
    assert world.ended[0] == "finished"
    assert len(world.preempted) <= 1 + PATIENCE


def test_clients_take_turns() -> None:
    scheduler = Scheduler(slots=1, queue_limit=9, chunk=4, rows=99)
    for number, client in enumerate(("ana", "ana", "ana", "beto", "", "")):
        scheduler.submit(Ticket(number, 1, 1, client=client))
    order = []
    while (chunk := scheduler.plan(0).chunk) is not None:
        order.append(chunk.number)
        scheduler.finish(chunk.number)
    assert order == [0, 3, 4, 5, 1, 2]


def test_who_has_a_request_running_does_not_overtake() -> None:
    scheduler = Scheduler(slots=1, queue_limit=9, chunk=4, rows=99)
    scheduler.submit(Ticket(1, 1, 1, client="ana"))
    scheduler.plan(0)
    scheduler.submit(Ticket(2, 1, 1, client="ana"))
    scheduler.submit(Ticket(3, 1, 1, client="beto"))
    assert [scheduler.position(n) for n in (2, 3)] == [2, 1]


def test_a_pupil_takes_the_slot_of_a_batch_which_reads_its_words_again() -> None:
    scheduler = Scheduler(slots=1, queue_limit=9, chunk=4, rows=99)
    scheduler.submit(Ticket(1, prompt=6, answer=9, priority="batch"))
    assert scheduler.plan(0).chunk == Chunk(1, 0, 0, 4, last=False)
    assert scheduler.plan(0).chunk == Chunk(1, 0, 4, 6, last=True)
    scheduler.wrote(1, 1)
    assert scheduler.plan(0).turns == (Turn(1, 6, draft=4),)
    scheduler.wrote(1, 4)
    scheduler.submit(Ticket(2, prompt=2, answer=1))
    plan = scheduler.plan(0)
    assert (plan.preempted, plan.turns) == ((1,), ())
    assert plan.chunk == Chunk(2, 0, 0, 2, last=True)
    assert scheduler.position(1) == 1
    scheduler.finish(2)
    plan = scheduler.plan(0, lambda number: 5)
    assert plan.load == Load(1, 0, 4)
    assert plan.chunk == Chunk(1, 0, 4, 6, last=False)
    assert scheduler.plan(0).chunk == Chunk(1, 0, 6, 10, last=False)
    assert scheduler.plan(0).turns == (Turn(1, 10, draft=3),)


def test_one_that_needs_more_rows_waits_for_them() -> None:
    scheduler = Scheduler(slots=3, queue_limit=9, chunk=4, rows=20)
    scheduler.submit(Ticket(1, prompt=4, answer=9))
    scheduler.submit(Ticket(2, prompt=4, answer=9))
    scheduler.submit(Ticket(3, prompt=1, answer=1))
    scheduler.plan(0)
    scheduler.wrote(1, 1)
    assert scheduler.plan(0).chunk is None  # nor does the third overtake
    scheduler.finish(1)
    chunk = scheduler.plan(0).chunk
    assert chunk is not None
    assert chunk.number == 2
    with pytest.raises(ValueError, match="needs 21 of 20 rows"):
        scheduler.submit(Ticket(4, prompt=20, answer=2))


def test_a_long_prompt_does_not_stop_the_others() -> None:
    scheduler = Scheduler(slots=2, queue_limit=8, chunk=4, rows=99)
    scheduler.submit(Ticket(1, prompt=2, answer=9))
    scheduler.submit(Ticket(2, prompt=9, answer=9))
    assert scheduler.plan(0) == Plan(chunk=Chunk(1, 0, 0, 2, last=True), used=1)
    turns = []
    for start, stop in ((0, 4), (4, 8), (8, 9)):
        scheduler.wrote(1, 1)
        plan = scheduler.plan(0)
        assert plan.chunk == Chunk(2, 1, start, stop, last=stop == 9)
        turns += [(turn.number, turn.length) for turn in plan.turns]
    assert turns == [(1, 2), (1, 3), (1, 4)]
    scheduler.wrote(1, 1)
    scheduler.wrote(2, 1)
    assert scheduler.plan(0).turns == (Turn(1, 5, draft=2), Turn(2, 9, draft=2))


def test_the_last_slot_moves_into_the_place_of_one_that_ends() -> None:
    scheduler = Scheduler(slots=3, queue_limit=8, chunk=4, rows=99)
    for number in (1, 2, 3):
        scheduler.submit(Ticket(number, prompt=1 if number < 3 else 8, answer=5))
        chunk = scheduler.plan(0).chunk
        if chunk is not None and chunk.last:
            scheduler.wrote(number, 1)
    scheduler.wrote(2, 1)
    scheduler.finish(1)
    plan = scheduler.plan(0)
    assert plan.moves == (Move(1, 0, 2), Move(2, 1, 4))
    assert plan.turns == (Turn(2, 2, draft=2),)
    assert plan.chunk == Chunk(3, 1, 4, 8, last=True)
    assert plan.used == 2


def test_positions_count_down_to_the_slot() -> None:
    scheduler = Scheduler(slots=1, queue_limit=3, chunk=4, rows=99)
    for number in (1, 2, 3):
        scheduler.submit(Ticket(number, prompt=1))
    assert [scheduler.position(n) for n in (1, 2, 3)] == [1, 2, 3]
    with pytest.raises(Overloaded) as caught:
        scheduler.submit(Ticket(4, prompt=1))
    assert (caught.value.position, caught.value.limit) == (4, 3)
    scheduler.submit(Ticket(5, prompt=1, priority="batch"))  # a class of its own
    scheduler.plan(0)
    assert [scheduler.position(n) for n in (1, 2, 3, 4, 5)] == [0, 1, 2, 0, 3]
    scheduler.cancel(2)
    assert scheduler.plan(0).dropped == ((2, "cancelled"),)
    assert scheduler.position(3) == 1


def test_a_deadline_counts_in_the_queue_and_in_the_slot() -> None:
    scheduler = Scheduler(slots=1, queue_limit=3, chunk=4, rows=99)
    scheduler.submit(Ticket(1, prompt=1, answer=9, deadline=5))
    scheduler.submit(Ticket(2, prompt=1, deadline=3))
    scheduler.submit(Ticket(3, prompt=1))
    assert scheduler.plan(2.9).dropped == ()
    scheduler.wrote(1, 1)
    assert scheduler.plan(3).dropped == ((2, "deadline"),)
    plan = scheduler.plan(5)
    assert plan.dropped == ((1, "deadline"),)
    assert plan.chunk == Chunk(3, 0, 0, 1, last=True)


@pytest.mark.parametrize("sizes", [(0, 1, 1, 1), (1, 0, 1, 1), (1, 1, 0, 1), (1, 1, 1, 0)])
def test_sizes_are_positive(sizes: tuple[int, int, int, int]) -> None:
    with pytest.raises(ValueError, match="slots"):
        Scheduler(*sizes)
