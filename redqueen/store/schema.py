"""The run database's tables.

Rows but those of `meta` and of other nodes belong to a row of `steps` and are deleted with it, so
that going back to a checkpoint is one DELETE. Step 0 stands for what exists before the first step:
seed tasks, and the tasks of evaluations.
"""

SCHEMA_VERSION = 3

WRITTEN_BY = {1: "0.1.x", 2: "0.1.x"}
"""Schema version -> the release that wrote it, for versions that did not record theirs."""

SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;

CREATE TABLE steps (step INTEGER PRIMARY KEY, written_at TEXT NOT NULL);

CREATE TABLE metrics (
    step INTEGER NOT NULL REFERENCES steps ON DELETE CASCADE,
    name TEXT NOT NULL,
    value REAL,                     -- NULL stands for not-a-number
    PRIMARY KEY (name, step)
) WITHOUT ROWID;
CREATE INDEX metrics_step ON metrics (step);

CREATE TABLE phases (
    step INTEGER NOT NULL REFERENCES steps ON DELETE CASCADE,
    phase TEXT NOT NULL,
    background INTEGER NOT NULL,    -- 1: went on beside other phases
    seconds REAL NOT NULL,
    PRIMARY KEY (step, phase, background)
) WITHOUT ROWID;

CREATE TABLE members (
    id INTEGER PRIMARY KEY,
    recorded INTEGER NOT NULL REFERENCES steps ON DELETE CASCADE,  -- first step that names it
    slot INTEGER NOT NULL,
    roles TEXT NOT NULL,            -- JSON list
    born INTEGER NOT NULL,
    parents TEXT NOT NULL,          -- JSON list of ids
    operator TEXT NOT NULL,
    died INTEGER,                   -- step, NULL while alive
    learning_rate_factor REAL NOT NULL,
    temperature REAL                -- NULL: the run's
);

CREATE TABLE ratings (
    step INTEGER NOT NULL REFERENCES steps ON DELETE CASCADE,
    member INTEGER NOT NULL,
    mu REAL NOT NULL,
    sigma REAL NOT NULL,
    PRIMARY KEY (member, step)
) WITHOUT ROWID;
CREATE INDEX ratings_step ON ratings (step);

CREATE TABLE matches (
    step INTEGER NOT NULL REFERENCES steps ON DELETE CASCADE,
    idx INTEGER NOT NULL,
    environment TEXT NOT NULL,
    teacher INTEGER,                -- NULL: the stream
    student INTEGER NOT NULL,
    tasks_of INTEGER,               -- idx of the match whose tasks these are, NULL: its own
    proposed INTEGER NOT NULL,
    valid INTEGER NOT NULL,
    solve_rate REAL,
    expected REAL,
    student_won INTEGER,
    PRIMARY KEY (step, idx)
) WITHOUT ROWID;

CREATE TABLE tasks (
    id TEXT PRIMARY KEY,
    recorded INTEGER NOT NULL REFERENCES steps ON DELETE CASCADE,  -- step that posed it
    environment TEXT NOT NULL,
    kind TEXT NOT NULL,
    payload TEXT NOT NULL,          -- JSON
    features TEXT NOT NULL,         -- JSON
    author INTEGER,
    step INTEGER NOT NULL
);
CREATE INDEX tasks_recorded ON tasks (recorded);

CREATE TABLE streamed (
    step INTEGER NOT NULL REFERENCES steps ON DELETE CASCADE,
    idx INTEGER NOT NULL,           -- order within the step
    task_id TEXT NOT NULL,
    PRIMARY KEY (step, idx)
) WITHOUT ROWID;

CREATE TABLE prompts (
    digest TEXT PRIMARY KEY,        -- BLAKE2b of `messages`, 128 bits
    recorded INTEGER NOT NULL REFERENCES steps ON DELETE CASCADE,  -- first step that used it
    messages TEXT NOT NULL,         -- JSON list of {role, content}
    tokens INTEGER NOT NULL,
    token_ids BLOB                  -- zlib of little-endian int32; NULL: not kept
) WITHOUT ROWID;
CREATE INDEX prompts_recorded ON prompts (recorded);

CREATE TABLE proposals (
    id INTEGER PRIMARY KEY,
    step INTEGER NOT NULL REFERENCES steps ON DELETE CASCADE,
    match INTEGER NOT NULL,
    teacher INTEGER NOT NULL,
    kind TEXT NOT NULL,
    task_references TEXT NOT NULL,  -- JSON list of task ids
    task_id TEXT,                   -- NULL: rejected
    reason TEXT,                    -- NULL: valid
    malformed INTEGER NOT NULL,
    infra INTEGER NOT NULL,
    detail TEXT NOT NULL,
    novelty REAL NOT NULL,          -- of the task, by its cell of the archive
    reward REAL,                    -- NULL: not trained on
    TEXT_COLUMNS
);
CREATE INDEX proposals_step ON proposals (step);

CREATE TABLE judgements (
    id INTEGER PRIMARY KEY,
    step INTEGER NOT NULL REFERENCES steps ON DELETE CASCADE,
    match INTEGER NOT NULL,         -- that the task was made for
    task_id TEXT NOT NULL,
    task_references TEXT NOT NULL,  -- JSON list of task ids
    quality REAL,                   -- in [0, 1], NULL: the text cannot be read
    TEXT_COLUMNS
);
CREATE INDEX judgements_step ON judgements (step);

CREATE TABLE rollouts (
    id INTEGER PRIMARY KEY,
    step INTEGER NOT NULL REFERENCES steps ON DELETE CASCADE,
    match INTEGER NOT NULL,
    student INTEGER NOT NULL,
    task_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    turn INTEGER NOT NULL,          -- which text of its attempt
    final INTEGER NOT NULL,         -- 1: the last answer of its attempt
    compared TEXT NOT NULL,         -- attempts with the same value are compared by the learner
    origin TEXT NOT NULL,           -- node that wrote it, empty: this one
    verdict TEXT,                   -- NULL: no answer (a critique, a summary)
    answer TEXT,
    partial_score REAL,
    reward REAL,                    -- NULL: not trained on
    TEXT_COLUMNS
);
-- Holds all that the counts of groups need, so that they do not read the texts.
CREATE INDEX rollouts_step ON rollouts (step, compared, verdict, finished);
CREATE INDEX rollouts_task ON rollouts (task_id);

CREATE TABLE events (
    step INTEGER NOT NULL REFERENCES steps ON DELETE CASCADE,
    idx INTEGER NOT NULL,
    role TEXT NOT NULL,
    removed INTEGER NOT NULL,
    child INTEGER NOT NULL,
    parents TEXT NOT NULL,
    operator TEXT NOT NULL,
    details TEXT NOT NULL,
    origin TEXT NOT NULL,           -- node that the child came from, empty: born here
    PRIMARY KEY (step, idx)
) WITHOUT ROWID;

-- What came of other nodes. These rows outlive their step, so that a resumed run, which does the
-- steps after its checkpoint again, learns from the same groups.
CREATE TABLE exchanges (
    step INTEGER PRIMARY KEY,
    epoch INTEGER NOT NULL,
    published INTEGER NOT NULL,     -- groups sent
    counts TEXT NOT NULL            -- JSON: author -> what became of its messages -> how many
);

CREATE TABLE foreign_groups (
    step INTEGER NOT NULL REFERENCES exchanges ON DELETE CASCADE,
    idx INTEGER NOT NULL,
    origin TEXT NOT NULL,           -- the author's public key
    epoch INTEGER NOT NULL,         -- with `number`: which of its messages
    number INTEGER NOT NULL,
    student INTEGER NOT NULL,       -- who learnt from it
    message BLOB NOT NULL,          -- as it came, signed
    verdicts TEXT NOT NULL,         -- JSON list, this node's
    partial_scores TEXT NOT NULL,   -- JSON list
    PRIMARY KEY (step, idx)
) WITHOUT ROWID;

CREATE TABLE foreign_adapters (
    step INTEGER NOT NULL REFERENCES exchanges ON DELETE CASCADE,
    idx INTEGER NOT NULL,
    origin TEXT NOT NULL,           -- the author's public key
    epoch INTEGER NOT NULL,
    number INTEGER NOT NULL,
    message BLOB NOT NULL,          -- as it came, signed
    fitness REAL,                   -- mean score on the probe's tasks, NULL: not measured
    PRIMARY KEY (step, idx)
) WITHOUT ROWID;

CREATE TABLE evaluations (
    id INTEGER PRIMARY KEY,
    step INTEGER NOT NULL,          -- the run's step that was measured
    staged INTEGER NOT NULL,        -- 1: of an evaluation that has not ended
    suite TEXT NOT NULL,
    subject TEXT NOT NULL,          -- 'base', 'elicited', 'average', 'team' or 'member:<id>'
    mode TEXT NOT NULL,             -- 'greedy', 'sampled' or 'vote'
    task_id TEXT NOT NULL REFERENCES tasks,
    attempt INTEGER NOT NULL,
    verdict TEXT NOT NULL,
    answer TEXT,
    partial_score REAL,
    metrics TEXT NOT NULL,          -- JSON: further results in [0, 1] by name
    TEXT_COLUMNS
);
CREATE UNIQUE INDEX evaluations_attempt
    ON evaluations (suite, subject, mode, staged, task_id, attempt);
""".replace(
    "TEXT_COLUMNS",
    """prompt TEXT NOT NULL REFERENCES prompts,
    slot INTEGER,                   -- of the adapter, NULL: the base alone
    seed INTEGER NOT NULL,
    temperature REAL,               -- NULL: the run's
    suppression TEXT,               -- JSON: tokens that it was written without, NULL: none
    text TEXT NOT NULL,
    tokens INTEGER NOT NULL,
    finished INTEGER NOT NULL,
    version INTEGER NOT NULL,       -- of the adapters that wrote it
    token_ids BLOB,                 -- zlib of little-endian int32; NULL: not kept
    logprobs BLOB                   -- zlib of little-endian float32; NULL: not kept""",
)
