"""The CDS Hooks service: policies, their evaluation, and the web around them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flask import Flask

    from cds_service.review import Services
    from cds_service.settings import Settings


def create_app(settings: Settings | None = None, services: Services | None = None) -> Flask:
    """Wire the web application. What is not given is loaded, and fails here, at start, when it cannot be."""
    # Imported here: whoever imports a policy module of this package needs no web server.
    from flask import Flask

    from cds_service import logs
    from cds_service.review import Services
    from cds_service.security.clients import cors_origins, load_clients
    from cds_service.settings import Settings
    from cds_service.store.keys import load_keys
    from cds_service.store.recorder import Recorder
    from cds_service.web import (
        authentication,
        cors,
        decision_pages,
        errors,
        hooks,
        layout,
        operations,
        operator_access,
        pages,
        playground,
        request_log,
    )

    settings = settings or Settings.load()
    logs.configure(settings.log_level)
    services = services or Services.load(settings)
    recorder = Recorder(settings)
    app = Flask("cds_service.web", static_folder=None)
    app.url_map.strict_slashes = False
    request_log.register(app)
    layout.register(app)
    endpoints = hooks.blueprint(services, settings, recorder)
    clients = load_clients(settings.clients) if settings.clients else ()
    judge = authentication.verifier(clients, settings) if clients else None
    if judge:
        authentication.require(endpoints, judge, settings.base_url)
    app.register_blueprint(endpoints)
    app.extensions["recorder"] = recorder
    app.register_blueprint(operations.blueprint(settings.data_dir))
    app.register_blueprint(pages.blueprint(services.library, settings.silence))
    app.register_blueprint(playground.blueprint(settings, needs_token=bool(clients)))
    if settings.decision_pages:
        replays = authentication.replays_of(settings) if judge else None
        gate = operator_access.Gate(judge, replays, settings.base_url, lambda: load_keys(settings))
        app.register_blueprint(gate.guarding(decision_pages.blueprint(settings, services.library, settings.silence)))
    errors.register(app)
    cors.register(app, cors_origins(clients, settings.cors_origins) if clients else settings.cors_origins)
    return app
