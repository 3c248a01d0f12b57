"""The tables of study.db."""

VERSION = 1

SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;

CREATE TABLE entries (
    name TEXT PRIMARY KEY,
    position INTEGER NOT NULL,
    config TEXT NOT NULL,           -- JSON, of the first seed
    work TEXT NOT NULL              -- JSON: planned attempts and proposals
) WITHOUT ROWID;

CREATE TABLE runs (
    id INTEGER PRIMARY KEY,
    entry TEXT NOT NULL,            -- 'base:<model>' for a base alone
    seed INTEGER,                   -- NULL for a base
    base INTEGER,                   -- the run that measured its base
    reason TEXT,                    -- why it failed; NULL: done
    memory TEXT,                    -- JSON: peak MiB of host and device
    machine TEXT,                   -- JSON: versions and hardware
    added TEXT NOT NULL,
    UNIQUE (entry, seed)
);

CREATE TABLE steps (
    run INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE,
    step INTEGER NOT NULL,
    seconds REAL NOT NULL,
    proposals INTEGER NOT NULL,
    valid INTEGER NOT NULL,
    coverage REAL,
    archive_size REAL,
    entropy REAL,
    sampled_tokens REAL,
    PRIMARY KEY (run, step)
) WITHOUT ROWID;

CREATE TABLE kinds (
    run INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE,
    step INTEGER NOT NULL,
    kind TEXT NOT NULL,
    tasks INTEGER NOT NULL,         -- valid tasks that teachers wrote
    ast_depth REAL,                 -- means over these tasks
    cyclomatic REAL,
    lines REAL,
    correct INTEGER NOT NULL,       -- attempts of all students
    attempts INTEGER NOT NULL,
    attempted INTEGER NOT NULL,     -- tasks that were attempted
    rates REAL NOT NULL,            -- sum over these of the task's solve rate
    rates2 REAL NOT NULL,           -- sum of its squares
    PRIMARY KEY (run, step, kind)
) WITHOUT ROWID;

CREATE TABLE phases (
    run INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE,
    phase TEXT NOT NULL,
    total REAL NOT NULL,            -- seconds
    median REAL NOT NULL,           -- seconds a step, over the steps that have it
    PRIMARY KEY (run, phase)
) WITHOUT ROWID;

CREATE TABLE members (
    run INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE,
    member INTEGER NOT NULL,
    roles TEXT NOT NULL,            -- JSON
    born INTEGER NOT NULL,
    died INTEGER,
    operator TEXT NOT NULL,
    mu REAL NOT NULL,
    sigma REAL NOT NULL,
    PRIMARY KEY (run, member)
) WITHOUT ROWID;

CREATE TABLE events (
    run INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE,
    step INTEGER NOT NULL,
    role TEXT NOT NULL,
    removed INTEGER NOT NULL,
    child INTEGER NOT NULL,
    operator TEXT NOT NULL
);

CREATE TABLE suite_tasks (
    suite TEXT NOT NULL,
    place INTEGER NOT NULL,
    task TEXT NOT NULL,
    kind TEXT NOT NULL,
    band INTEGER NOT NULL,
    PRIMARY KEY (suite, place)
) WITHOUT ROWID;

CREATE TABLE evaluations (
    run INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE,
    suite TEXT NOT NULL,
    subject TEXT NOT NULL,          -- 'base' or 'member:<id>'
    mode TEXT NOT NULL,             -- 'greedy' or 'sampled'
    samples INTEGER NOT NULL,       -- attempts at each task
    correct TEXT NOT NULL,          -- JSON: right answers to each task, by place
    PRIMARY KEY (run, suite, subject, mode)
) WITHOUT ROWID;

CREATE VIEW evaluation_summary AS
SELECT r.entry, r.seed, e.suite, e.subject, e.mode, t.kind, t.band,
       count(*) AS tasks, sum(c.value) AS correct, count(*) * e.samples AS attempts
FROM evaluations e JOIN runs r ON r.id = e.run JOIN json_each(e.correct) c
JOIN suite_tasks t ON t.suite = e.suite AND t.place = c.key
GROUP BY r.entry, r.seed, e.suite, e.subject, e.mode, t.kind, t.band;
"""
