"""Worker processes: what a library does beside answering is no answer."""

from redqueen.environments.workers import NoReply, WorkerPool


def test_what_a_worker_prints_or_reads_changes_no_answer() -> None:
    questions = ["print", "write", "process", "input", "plain"]
    with WorkerPool("tests.environments.noisy_worker", 1, 20.0) as pool:
        assert pool.ask(questions) == ["print", "write", "process", "nothing to read", "plain"]


def test_a_worker_that_ends_is_the_questions_fault() -> None:
    with WorkerPool("tests.environments.noisy_worker", 1, 20.0) as pool:
        assert pool.ask(["exit", "raise", "plain"]) == [*2 * [NoReply.RAN_AWAY], "plain"]
