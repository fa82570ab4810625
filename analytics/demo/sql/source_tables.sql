-- The engine's two tables, as its own migrations create them.
-- In the application "apiKey_used" and oauth_user_id are foreign keys to its tables of keys and people. Those tables
-- are not part of the log, nothing here reads them, so the columns stand alone.
-- Note what is missing: no index leads with created_at, so a window is a sequential scan.

create table if not exists strategydefinition (
    id                 uuid primary key,
    created_at         timestamptz,
    updated_at         timestamptz,
    "apiKey_used"      varchar,
    oauth_user_id      varchar,
    "realmId"          varchar,
    name               varchar not null,
    description        varchar,
    type               varchar not null,
    "parentStrategyId" varchar,
    "astJson"          jsonb not null,
    "blocklyXml"       text,
    version            integer not null,
    status             varchar not null,
    "createdBy"        varchar,
    "publishedAt"      timestamptz,
    "experimentTag"    varchar,
    constraint uq_strategydefinition_realm_name_version unique ("realmId", name, version)
);

create table if not exists strategyexecutionlog (
    id                 uuid primary key,
    created_at         timestamptz,
    updated_at         timestamptz,
    "apiKey_used"      varchar,
    oauth_user_id      varchar,
    "strategyId"       varchar not null,
    "strategyVersion"  integer not null,
    "strategyType"     varchar not null,
    "realmId"          varchar,
    "externalGameId"   varchar,
    "externalTaskId"   varchar,
    "externalUserId"   varchar,
    status             varchar not null,
    "errorCode"        varchar,
    points             numeric,
    "caseName"         varchar,
    "durationMs"       numeric not null,
    "nodesExecuted"    integer not null,
    trace              jsonb,
    sampled            boolean not null,
    "parentStrategyId" varchar,
    notes              text
);

create index if not exists "ix_strategyexecutionlog_id" on strategyexecutionlog (id);
create index if not exists "ix_strategyexecutionlog_strategyId" on strategyexecutionlog ("strategyId");
create index if not exists "ix_strategyexecutionlog_realmId" on strategyexecutionlog ("realmId");
create index if not exists "ix_strategyexecutionlog_status" on strategyexecutionlog (status);
create index if not exists "ix_strategyexecutionlog_sampled" on strategyexecutionlog (sampled);
create index if not exists "ix_strategyexecutionlog_strategy_status_created"
    on strategyexecutionlog ("strategyId", status, created_at);
