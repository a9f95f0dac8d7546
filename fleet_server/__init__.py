"""The fleet server: API, rollout engine, ingest, identity, monitoring, dashboard."""
