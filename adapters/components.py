"""The project's systems, chat models and judges by logical name. Imports none of them."""

from medgen.engine.beside import read_beside
from medgen.engine.registry import Component

COMPONENTS = {
    component.name: component
    for component in read_beside(__package__, "components.yaml", tuple[Component, ...])
}
