from cds_service.deadline import Deadline


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_deadline_comes_nearer_and_passes() -> None:
    clock = Clock()
    deadline = Deadline.after(3, clock)

    assert deadline.left() == 3
    clock.now += 4
    assert deadline.left() == -1


def test_a_part_ends_by_its_own_time_or_with_what_it_leaves_of_the_whole() -> None:
    clock = Clock()
    whole = Deadline.after(4.5, clock)

    assert whole.within(3, reserve=0.5).left() == 3
    clock.now += 2
    assert whole.within(3, reserve=0.5).left() == 2
    assert whole.within(1).left() == 1
