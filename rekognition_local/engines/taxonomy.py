"""The 80 things COCO's pictures are labelled with, in AWS's vocabulary.

Names, ancestors, aliases and categories are ours, written by hand after AWS's published list of labels as best we know
it: a local ``Car`` has the ancestors, and falls into the categories, that make filters and queries behave as they
would on AWS. AWS's list has some 2,700 labels; these are the ones there is an engine for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rekognition_local.filters import LabelFilter


@dataclass(frozen=True, slots=True)
class Thing:
    """One label. ``parents``: every ancestor, the nearest first."""

    name: str
    category: str
    parents: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()


ANIMALS = "Animals and Pets"
CLOTHING = "Apparel and Accessories"
HOME = "Furniture and Furnishings"
FOOD = "Food and Beverage"
APPLIANCES = "Home Appliances"
INDOORS = "Home and Indoors"
KITCHEN = "Kitchen and Dining"
LEISURE = "Hobbies and Interests"
MATERIALS = "Materials"
OFFICE = "Offices and Workspaces"
PEOPLE = "Person Description"
PLANTS = "Plants and Flowers"
PUBLIC = "Public Safety"
SPORTS = "Sports"
TECHNOLOGY = "Technology and Computing"
TOOLS = "Tools and Machinery"
TOWN = "Travel and Adventure"
TRANSPORT = "Transport and Logistics"
VEHICLES = "Vehicles and Automotive"

_MAMMAL = ("Mammal", "Animal")
_ROAD = ("Vehicle", "Transportation")
_SPORT = ("Sport",)

#: Class number of the COCO head (1 to 90, with holes) -> label.
COCO: dict[int, Thing] = {
    1: Thing("Person", PEOPLE, (), ("Human",)),
    2: Thing("Bicycle", VEHICLES, _ROAD, ("Bike",)),
    3: Thing("Car", VEHICLES, _ROAD, ("Automobile",)),
    4: Thing("Motorcycle", VEHICLES, _ROAD, ("Motor",)),
    5: Thing("Airplane", VEHICLES, ("Aircraft", "Vehicle", "Transportation"), ("Airliner", "Plane")),
    6: Thing("Bus", VEHICLES, _ROAD),
    7: Thing("Train", VEHICLES, _ROAD),
    8: Thing("Truck", VEHICLES, _ROAD),
    9: Thing("Boat", VEHICLES, _ROAD),
    10: Thing("Traffic Light", PUBLIC, ("Light",)),
    11: Thing("Fire Hydrant", PUBLIC, ("Hydrant",)),
    13: Thing("Stopsign", PUBLIC, ("Road Sign", "Sign", "Symbol"), ("Stop Sign",)),
    14: Thing("Parking Meter", TRANSPORT),
    15: Thing("Bench", HOME, ("Furniture",)),
    16: Thing("Bird", ANIMALS, ("Animal",)),
    17: Thing("Cat", ANIMALS, ("Pet", *_MAMMAL)),
    18: Thing("Dog", ANIMALS, ("Pet", "Canine", *_MAMMAL)),
    19: Thing("Horse", ANIMALS, _MAMMAL),
    20: Thing("Sheep", ANIMALS, ("Livestock", *_MAMMAL)),
    21: Thing("Cow", ANIMALS, ("Cattle", "Livestock", *_MAMMAL)),
    22: Thing("Elephant", ANIMALS, ("Wildlife", *_MAMMAL)),
    23: Thing("Bear", ANIMALS, ("Wildlife", *_MAMMAL)),
    24: Thing("Zebra", ANIMALS, ("Wildlife", *_MAMMAL)),
    25: Thing("Giraffe", ANIMALS, ("Wildlife", *_MAMMAL)),
    27: Thing("Backpack", CLOTHING, ("Bag", "Accessories"), ("Rucksack",)),
    28: Thing("Umbrella", CLOTHING, ("Canopy",)),
    31: Thing("Handbag", CLOTHING, ("Bag", "Accessories"), ("Purse",)),
    32: Thing("Tie", CLOTHING, ("Accessories",), ("Necktie",)),
    33: Thing("Suitcase", TOWN, ("Luggage",)),
    34: Thing("Frisbee", LEISURE, ("Toy",)),
    35: Thing("Skis", SPORTS, _SPORT),
    36: Thing("Snowboard", SPORTS, _SPORT),
    37: Thing("Ball", SPORTS, _SPORT, ("Sports Ball",)),
    38: Thing("Kite", LEISURE, ("Toy",)),
    39: Thing("Baseball Bat", SPORTS, ("Baseball", "Sport")),
    40: Thing("Baseball Glove", SPORTS, ("Baseball", "Sport")),
    41: Thing("Skateboard", SPORTS, _SPORT),
    42: Thing("Surfboard", SPORTS, _SPORT),
    43: Thing("Tennis Racket", SPORTS, ("Racket", "Tennis", "Sport")),
    44: Thing("Bottle", KITCHEN),
    46: Thing("Wine Glass", KITCHEN, ("Glass",), ("Goblet",)),
    47: Thing("Cup", KITCHEN),
    48: Thing("Fork", KITCHEN, ("Cutlery",)),
    49: Thing("Knife", KITCHEN, ("Cutlery",)),
    50: Thing("Spoon", KITCHEN, ("Cutlery",)),
    51: Thing("Bowl", KITCHEN),
    52: Thing("Banana", FOOD, ("Fruit", "Food", "Produce")),
    53: Thing("Apple", FOOD, ("Fruit", "Food", "Produce")),
    54: Thing("Sandwich", FOOD, ("Food",)),
    55: Thing("Orange", FOOD, ("Fruit", "Food", "Produce")),
    56: Thing("Broccoli", FOOD, ("Vegetable", "Food", "Produce")),
    57: Thing("Carrot", FOOD, ("Vegetable", "Food", "Produce")),
    58: Thing("Hot Dog", FOOD, ("Food",)),
    59: Thing("Pizza", FOOD, ("Food",)),
    60: Thing("Donut", FOOD, ("Dessert", "Food"), ("Doughnut",)),
    61: Thing("Cake", FOOD, ("Dessert", "Food")),
    62: Thing("Chair", HOME, ("Furniture",)),
    63: Thing("Couch", HOME, ("Furniture",), ("Sofa",)),
    64: Thing("Potted Plant", PLANTS, ("Plant",), ("Houseplant",)),
    65: Thing("Bed", HOME, ("Furniture",)),
    67: Thing("Dining Table", HOME, ("Table", "Furniture")),
    70: Thing("Toilet", INDOORS),
    72: Thing("Television", TECHNOLOGY, ("Screen", "Electronics"), ("TV",)),
    73: Thing("Laptop", TECHNOLOGY, ("Computer", "Electronics")),
    74: Thing("Mouse", TECHNOLOGY, ("Computer Hardware", "Hardware", "Electronics"), ("Computer Mouse",)),
    75: Thing("Remote Control", TECHNOLOGY, ("Electronics",)),
    76: Thing("Computer Keyboard", TECHNOLOGY, ("Computer Hardware", "Hardware", "Electronics")),
    77: Thing("Mobile Phone", TECHNOLOGY, ("Phone", "Electronics"), ("Cell Phone",)),
    78: Thing("Microwave", APPLIANCES, ("Appliance", "Device"), ("Microwave Oven",)),
    79: Thing("Oven", APPLIANCES, ("Appliance", "Device")),
    80: Thing("Toaster", APPLIANCES, ("Appliance", "Device")),
    81: Thing("Sink", INDOORS),
    82: Thing("Refrigerator", APPLIANCES, ("Appliance", "Device")),
    84: Thing("Book", OFFICE, ("Publication",)),
    85: Thing("Clock", INDOORS),
    86: Thing("Vase", HOME, ("Pottery",)),
    87: Thing("Scissors", TOOLS),
    88: Thing("Teddy Bear", LEISURE, ("Toy",)),
    89: Thing("Hair Drier", APPLIANCES, ("Appliance", "Device"), ("Blow Dryer",)),
    90: Thing("Toothbrush", INDOORS, ("Tool",)),
}

#: What those descend from: labels of their own, as on AWS.
ANCESTORS: dict[str, Thing] = {
    thing.name: thing
    for thing in (
        Thing("Accessories", CLOTHING),
        Thing("Aircraft", VEHICLES, _ROAD),
        Thing("Animal", ANIMALS),
        Thing("Appliance", APPLIANCES, ("Device",)),
        Thing("Bag", CLOTHING, ("Accessories",)),
        Thing("Baseball", SPORTS, _SPORT),
        Thing("Canine", ANIMALS, _MAMMAL),
        Thing("Canopy", CLOTHING),
        Thing("Cattle", ANIMALS, ("Livestock", *_MAMMAL)),
        Thing("Computer", TECHNOLOGY, ("Electronics",)),
        Thing("Computer Hardware", TECHNOLOGY, ("Hardware", "Electronics")),
        Thing("Cutlery", KITCHEN),
        Thing("Dessert", FOOD, ("Food",)),
        Thing("Device", TOOLS),
        Thing("Electronics", TECHNOLOGY),
        Thing("Food", FOOD),
        Thing("Fruit", FOOD, ("Food", "Produce")),
        Thing("Furniture", HOME),
        Thing("Glass", MATERIALS),
        Thing("Hardware", TECHNOLOGY, ("Electronics",)),
        Thing("Hydrant", PUBLIC),
        Thing("Light", HOME),
        Thing("Livestock", ANIMALS, _MAMMAL),
        Thing("Luggage", TOWN),
        Thing("Mammal", ANIMALS, ("Animal",)),
        Thing("Pet", ANIMALS, ("Animal",)),
        Thing("Phone", TECHNOLOGY, ("Electronics",)),
        Thing("Plant", PLANTS),
        Thing("Pottery", HOME),
        Thing("Produce", FOOD, ("Food",)),
        Thing("Publication", OFFICE),
        Thing("Racket", SPORTS),
        Thing("Road Sign", PUBLIC, ("Sign", "Symbol")),
        Thing("Screen", TECHNOLOGY, ("Electronics",)),
        Thing("Sign", PUBLIC, ("Symbol",)),
        Thing("Sport", SPORTS),
        Thing("Symbol", PUBLIC),
        Thing("Table", HOME, ("Furniture",)),
        Thing("Tennis", SPORTS, _SPORT),
        Thing("Tool", TOOLS),
        Thing("Toy", LEISURE),
        Thing("Transportation", VEHICLES),
        Thing("Vegetable", FOOD, ("Food", "Produce")),
        Thing("Vehicle", VEHICLES, ("Transportation",)),
        Thing("Wildlife", ANIMALS, ("Animal",)),
    )
}
THINGS = {thing.name: thing for thing in COCO.values()} | ANCESTORS


def labels(found: Mapping[str, tuple[float, Sequence[Mapping[str, Any]]]], wanted: LabelFilter) -> list[dict[str, Any]]:
    """The Labels of one moment, by name: what was *found* (name -> confidence, instances) and what it descends from.

    An ancestor is as sure as the surest of its descendants, and has no instances.
    """
    sure: dict[str, float] = {}
    for name, (confidence, _) in found.items():
        for known in (name, *THINGS[name].parents):
            sure[known] = max(confidence, sure.get(known, 0))
    return [
        _label(THINGS[name], sure[name], found[name][1] if name in found else ())
        for name in sorted(sure)
        if sure[name] >= wanted.min_confidence and wanted.admits(name, [THINGS[name].category])
    ]


def _label(thing: Thing, confidence: float, instances: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {
        "Name": thing.name,
        "Confidence": confidence,
        "Instances": list(instances),
        "Parents": [{"Name": name} for name in thing.parents],
        "Aliases": [{"Name": name} for name in thing.aliases],
        "Categories": [{"Name": thing.category}],
    }
