-- Numbers rise with each request, whatever the clock does. Times are milliseconds since 1970.
CREATE TABLE requests (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    created INTEGER NOT NULL,
    key TEXT NOT NULL,
    dialect TEXT NOT NULL,
    model TEXT NOT NULL,
    adapter TEXT,
    adapter_version TEXT,
    instance TEXT,
    stream INTEGER NOT NULL,
    outcome TEXT NOT NULL,
    status INTEGER NOT NULL,
    finish TEXT,
    prompt_chars INTEGER NOT NULL,
    answer_chars INTEGER NOT NULL,
    attachments INTEGER NOT NULL,
    media INTEGER NOT NULL,
    queue_ms INTEGER,
    submit_ms INTEGER,
    first_ms INTEGER,
    total_ms INTEGER NOT NULL,
    tokens_in INTEGER NOT NULL,
    tokens_out INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    prompt TEXT,
    answer TEXT
);
CREATE INDEX requests_created ON requests (created);

CREATE TABLE tries (
    request INTEGER NOT NULL REFERENCES requests (number) ON DELETE CASCADE,
    position INTEGER NOT NULL,
    adapter TEXT NOT NULL,
    adapter_version TEXT NOT NULL,
    instance TEXT NOT NULL,
    worker TEXT NOT NULL,
    stage TEXT NOT NULL,
    outcome TEXT NOT NULL,
    ms INTEGER NOT NULL,
    PRIMARY KEY (request, position)
) WITHOUT ROWID;

-- Sums of a day (UTC), which stay when the requests are deleted. No instance is ''.
CREATE TABLE statistics (
    day TEXT NOT NULL,
    model TEXT NOT NULL,
    instance TEXT NOT NULL,
    outcome TEXT NOT NULL,
    requests INTEGER NOT NULL,
    tokens_in INTEGER NOT NULL,
    tokens_out INTEGER NOT NULL,
    first_count INTEGER NOT NULL,
    first_sum INTEGER NOT NULL,
    total_sum INTEGER NOT NULL,
    PRIMARY KEY (day, model, instance, outcome)
) WITHOUT ROWID;

-- How many requests took at most so many milliseconds, and more than the bucket below. The last bucket has no bound: -1.
CREATE TABLE latencies (
    day TEXT NOT NULL,
    model TEXT NOT NULL,
    instance TEXT NOT NULL,
    stage TEXT NOT NULL,
    bound INTEGER NOT NULL,
    requests INTEGER NOT NULL,
    PRIMARY KEY (day, model, instance, stage, bound)
) WITHOUT ROWID;

-- Which of a site's conversations holds just the messages with this hash. `turn` rises with each use.
CREATE TABLE conversations (
    instance TEXT NOT NULL,
    adapter TEXT NOT NULL,
    model TEXT NOT NULL,
    prefix BLOB NOT NULL,
    conversation TEXT NOT NULL,
    created INTEGER NOT NULL,
    used INTEGER NOT NULL,
    turn INTEGER NOT NULL,
    turns INTEGER NOT NULL,
    PRIMARY KEY (instance, adapter, model, prefix)
) WITHOUT ROWID;
CREATE INDEX conversations_turn ON conversations (turn);
CREATE INDEX conversations_used ON conversations (used);
CREATE INDEX conversations_site ON conversations (instance, adapter, conversation);

CREATE TABLE media (
    sha256 TEXT PRIMARY KEY,
    size INTEGER NOT NULL,
    created INTEGER NOT NULL
) WITHOUT ROWID;

-- A link to a file. The secret itself is in nobody's hands but the client's.
CREATE TABLE media_links (
    token BLOB PRIMARY KEY,
    sha256 TEXT NOT NULL REFERENCES media (sha256) ON DELETE CASCADE,
    mime TEXT NOT NULL,
    created INTEGER NOT NULL,
    expires INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX media_links_file ON media_links (sha256);
CREATE INDEX media_links_expires ON media_links (expires);

CREATE TABLE facts (
    name TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) WITHOUT ROWID;
