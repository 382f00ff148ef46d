"""Units by what they measure, in the languages that answers come in.

A unit that is known is turned into another of its kind. One that is made of two ("mg/dL") is
turned where both parts are known, and is itself alone where one is not ("mmol/L"). Months and
years, and days and weeks, are turned into each other; a month is no fixed number of days.
"""

import re
from collections.abc import Iterator, Mapping

# Each kind's units with their sizes in the first of them; a unit by all that it is written as.
_KINDS: Mapping[str, Mapping[str, float]] = {
    "length": {
        "mm millimeter millimetre millimètre milímetro millimetro": 1.0,
        "毫米 公厘 ミリ ミリメートル 밀리미터 мм مم": 1.0,
        "cm centimeter centimetre zentimeter centimètre centímetro centimetro": 10.0,
        "厘米 公分 センチ センチメートル 센티미터 \u0441м سم": 10.0,
        "m meter metre mètre metro 米 公尺 メートル 미터 м": 1000.0,
        "\u03bcm \u00b5m um micron 微米 мкм": 0.001,
        "nm": 1e-6,
        "inch inches": 25.4,
        "ft foot feet": 304.8,
    },
    "area": {"mm2 平方毫米 мм2": 1.0, "cm2 平方厘米 平方公分 \u0441м2": 100.0, "m2 平方米": 1e6},
    "volume": {
        "ml cc cm3 毫升 ミリリットル 밀리리터 мл": 1.0,
        "mm3 \u03bcl \u00b5l ul": 0.001,
        "cl": 10.0,
        "dl 分升": 100.0,
        "l liter litre litro 升 リットル 리터 л": 1000.0,
    },
    "share": {"% percent 퍼센트": 1.0},
    "angle": {"\u00b0 deg degree grad grado degré 度 градус": 1.0},
    "mass": {
        "g gram gramm gramo gramme grammo 克 グラム 그램 \u0433": 1.0,
        "kg kilo kilogram kilogramm 千克 公斤 キロ 킬로그램 кг": 1000.0,
        "mg 毫克 мг": 0.001,
        "\u03bcg \u00b5g ug mcg 微克 мкг": 1e-6,
        "ng": 1e-9,
        "lb lbs pound": 453.59237,
    },
    "time": {
        "s sec second sekunde segundo seconde 秒": 1.0,
        "ms msec 毫秒": 0.001,
        "min mins minute minuto 分 分钟 分鐘": 60.0,
        "h hr hrs hour stunde hora heure 小时 小時 時間": 3600.0,
        "day tag tage día dia jour giorno 天 日": 86400.0,
        "week wk woche wochen semana semaine settimana 周 週": 604800.0,
    },
    "age": {
        "month monat monate mes meses mois mese 个月 個月 か月 ヶ月 개월": 1.0,
        "year yr yrs jahr jahre año ano ans anno 年 岁 歳 歲 세": 12.0,
    },
    "pressure": {"mmhg torr": 1.0, "kpa": 7.50062, "cmh2o": 0.735559},
    "rate": {"bpm beats/min": 1.0},
    "attenuation": {"hu": 1.0},
    "warmth": {"\u00b0c ℃ celsius": 1.0},
    "warmth in Fahrenheit": {"\u00b0f ℉ fahrenheit": 1.0},
}


def _spellings(words: str) -> Iterator[str]:
    for word in words.split():
        yield word
        if len(word) > 2 and word[-1].isalpha():
            yield word + "s"  # the plural of most of these languages


UNITS: Mapping[str, tuple[str, float]] = {
    name: (kind, size)
    for kind, sizes in _KINDS.items()
    for words, size in sizes.items()
    for name in _spellings(words)
}
_OTHER_SCRIPTS = sorted((u for u in UNITS if not u.isascii()), key=len, reverse=True)
# What stands behind a number, lower-case: a known unit of any script, else a word, or two words
# with a stroke between them.
PATTERN = (
    rf"(?:(?:{'|'.join(map(re.escape, _OTHER_SCRIPTS))})(?![a-z\u00e0-\u024f\u0400-\u04ff])"
    r"|%|[a-z\u03bc][a-z\u00e0-\u024f\u03bc]{0,12}(?:[23]|2o)?(?:/[a-z\u03bc]{1,8}[23]?)?)"
)


def unit_of(name: str) -> tuple[str, float] | None:
    """What a unit measures, and its size; None of a word that is no unit as far as is known."""
    plain = name.strip().casefold().replace("^", "").replace("\u00b2", "2").replace("\u00b3", "3")
    plain = plain.removesuffix("/1.73m2").removesuffix("/1.73 m2")  # of body surface, as a rule
    above, stroke, below = plain.partition("/")
    if not stroke or plain in UNITS:
        return UNITS.get(plain)
    if above in UNITS and below in UNITS:
        (kind, size), (per, share) = UNITS[above], UNITS[below]
        return f"{kind}/{per}", size / share
    return plain, 1.0
