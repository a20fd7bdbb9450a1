"""The scheduler against every mix of arrivals, ends and cancellations that hypothesis finds."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.engine.scheduler import Chunk, Move, Plan, Scheduler, Ticket, Turn
from models.errors import Overloaded

CHUNK = 4
LAST_EVENT = 40  # step of the last arrival or cancellation
ENOUGH = 400  # steps in which every request must have ended


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


JOBS = st.lists(
    st.builds(
        Job,
        prompt=st.integers(1, 15),
        answer=st.integers(1, 10),
        arrives=st.integers(0, 20),
        cancelled=st.none() | st.integers(0, LAST_EVENT),
    ),
    max_size=12,
)


@dataclass
class World:
    """Carries plans out on slots that remember whose tokens they hold."""

    slots: int
    limit: int
    jobs: list[Job]
    owners: dict[int, list[tuple[int, int]]] = field(default_factory=dict)
    """Slot -> (request, place) of each token in it."""
    written: dict[int, int] = field(default_factory=dict)
    read: dict[int, int] = field(default_factory=dict)
    started: list[int] = field(default_factory=list)
    ended: dict[int, str] = field(default_factory=dict)
    refused: set[int] = field(default_factory=set)
    log: list[Plan] = field(default_factory=list)

    def run(self) -> "World":
        scheduler = Scheduler(self.slots, self.limit, CHUNK)
        for now in range(ENOUGH):
            if now > LAST_EVENT and scheduler.active == scheduler.waiting == 0:
                return self
            for number, job in enumerate(self.jobs):
                if job.arrives == now:
                    try:
                        scheduler.submit(Ticket(number, job.prompt))
                    except Overloaded:
                        self.refused.add(number)
                if job.cancelled == now:
                    scheduler.cancel(number)
            assert scheduler.waiting <= self.limit
            plan = scheduler.plan(now)
            self.log.append(plan)
            for number in self.carry_out(plan):
                scheduler.finish(number)
            assert scheduler.active <= self.slots
        raise AssertionError("somebody starves")

    def carry_out(self, plan: Plan) -> list[int]:
        """The requests that got their last token."""
        for number, reason in plan.dropped:
            assert number not in self.ended
            self.ended[number] = reason
        for move in plan.moves:
            assert move.source > move.target
            self.owners[move.target] = self.owners.pop(move.source)[: move.length]
        for slot, turn in enumerate(plan.turns):
            held = self.owners[slot]
            assert held == [(turn.number, place) for place in range(turn.length)]
            held.append((turn.number, turn.length))
            self.written[turn.number] += 1
        if plan.chunk is not None:
            self.read_chunk(plan.chunk)
            assert plan.chunk.slot == len(plan.turns)
        done = [n for n, count in self.written.items() if count == self.jobs[n].answer]
        done = [number for number in done if number not in self.ended]
        self.ended |= dict.fromkeys(done, "finished")
        return done

    def read_chunk(self, chunk: Chunk) -> None:
        assert 0 < chunk.stop - chunk.start <= CHUNK
        if chunk.start == 0:
            self.started.append(chunk.number)
            self.owners[chunk.slot] = []
        held = self.owners[chunk.slot]
        assert held == [(chunk.number, place) for place in range(chunk.start)]
        held += [(chunk.number, place) for place in range(chunk.start, chunk.stop)]
        self.read[chunk.number] = chunk.stop
        assert chunk.last == (chunk.stop == self.jobs[chunk.number].prompt)
        if chunk.last:
            self.written[chunk.number] = 1


@given(JOBS, st.integers(1, 4), st.integers(1, 5))
def test_every_request_ends_and_no_slot_is_mixed_up(
    jobs: list[Job], slots: int, limit: int
) -> None:
    world = World(slots, limit, jobs).run()
    assert set(world.ended) | world.refused == set(range(len(jobs)))
    assert set(world.ended) & world.refused == set()


@given(JOBS, st.integers(1, 4))
def test_first_come_is_first_served(jobs: list[Job], slots: int) -> None:
    world = World(slots, 20, jobs).run()
    arrivals = sorted(range(len(jobs)), key=lambda n: (jobs[n].arrives, n))
    assert world.started == [number for number in arrivals if number in world.started]


@given(JOBS, st.integers(1, 4))
def test_who_decodes_gets_a_token_in_every_step(jobs: list[Job], slots: int) -> None:
    world = World(slots, 20, jobs).run()
    for before, after in zip(world.log, world.log[1:], strict=False):
        left = {number for number, _ in after.dropped}
        for turn in before.turns:
            job, written = jobs[turn.number], turn.length + 2 - jobs[turn.number].prompt
            if written < job.answer and turn.number not in left:
                assert turn.number in {t.number for t in after.turns}


@given(JOBS, st.integers(1, 4))
def test_the_cuts_of_a_prompt_depend_on_the_prompt_alone(jobs: list[Job], slots: int) -> None:
    world = World(slots, 20, jobs).run()
    for chunk in (plan.chunk for plan in world.log if plan.chunk is not None):
        assert chunk.start % CHUNK == 0
        assert chunk.stop == min(chunk.start + CHUNK, jobs[chunk.number].prompt)


def test_a_long_prompt_does_not_stop_the_others() -> None:
    scheduler = Scheduler(slots=2, queue_limit=8, chunk=4)
    scheduler.submit(Ticket(1, prompt=2))
    scheduler.submit(Ticket(2, prompt=9))
    assert scheduler.plan(0) == Plan(chunk=Chunk(1, 0, 0, 2, last=True))
    assert scheduler.plan(0) == Plan(chunk=Chunk(2, 1, 0, 4, last=False), turns=(Turn(1, 2),))
    assert scheduler.plan(0) == Plan(chunk=Chunk(2, 1, 4, 8, last=False), turns=(Turn(1, 3),))
    assert scheduler.plan(0) == Plan(chunk=Chunk(2, 1, 8, 9, last=True), turns=(Turn(1, 4),))
    assert scheduler.plan(0) == Plan(turns=(Turn(1, 5), Turn(2, 9)))


def test_the_last_slot_moves_into_the_place_of_one_that_ends() -> None:
    scheduler = Scheduler(slots=3, queue_limit=8, chunk=4)
    for number in (1, 2, 3):
        scheduler.submit(Ticket(number, prompt=1 if number < 3 else 8))
        scheduler.plan(0)
    scheduler.finish(1)
    plan = scheduler.plan(0)
    assert plan.moves == (Move(1, 0, 2), Move(2, 1, 4))
    assert plan.turns == (Turn(2, 2),)
    assert plan.chunk == Chunk(3, 1, 4, 8, last=True)


def test_positions_count_down_to_the_slot() -> None:
    scheduler = Scheduler(slots=1, queue_limit=3, chunk=4)
    for number in (1, 2, 3):
        scheduler.submit(Ticket(number, prompt=1))
    assert [scheduler.position(n) for n in (1, 2, 3)] == [1, 2, 3]
    with pytest.raises(Overloaded) as caught:
        scheduler.submit(Ticket(4, prompt=1))
    assert (caught.value.position, caught.value.limit) == (4, 3)
    scheduler.plan(0)
    assert [scheduler.position(n) for n in (1, 2, 3, 4)] == [0, 1, 2, 0]
    scheduler.cancel(2)
    assert scheduler.plan(0).dropped == ((2, "cancelled"),)
    assert scheduler.position(3) == 1


def test_a_deadline_counts_in_the_queue_and_in_the_slot() -> None:
    scheduler = Scheduler(slots=1, queue_limit=3, chunk=4)
    scheduler.submit(Ticket(1, prompt=1, deadline=5))
    scheduler.submit(Ticket(2, prompt=1, deadline=3))
    scheduler.submit(Ticket(3, prompt=1))
    assert scheduler.plan(2.9).dropped == ()
    assert scheduler.plan(3).dropped == ((2, "deadline"),)
    assert scheduler.plan(5).dropped == ((1, "deadline"),)
    assert scheduler.plan(6).turns == (Turn(3, 1),)


@pytest.mark.parametrize("sizes", [(0, 1, 1), (1, 0, 1), (1, 1, 0)])
def test_sizes_are_positive(sizes: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="all >= 1"):
        Scheduler(*sizes)
