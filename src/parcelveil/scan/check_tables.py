"""What the checks look up: numbering plans, issuer ranges, country codes. Data only; each table says its source.

The tables are plain Python, read by the reference (``checks.py``) as they are and by the compiled passes
(``check_passes.py``) as arrays made of them, so that both know the same::

    >>> "138" in MOBILE_ALLOCATED, "142" in MOBILE_ALLOCATED
    (True, False)
    >>> card_grade(6222, 19), card_grade(4111, 16), card_grade(1111, 16)
    (2, 2, 0)
"""

from __future__ import annotations

BAD, WEAK, GOOD = 0, 1, 2

#: First three digits of mainland mobile numbers that are given out to people (MIIT numbering plan; shares of segments
#: measured for the simulator). The others are unallocated, for machines (140, 141, 144, 146, 148) or satellites (174).
MOBILE_ALLOCATED = frozenset(
    "130 131 132 133 134 135 136 137 138 139 145 147 149 150 151 152 153 155 156 157 158 159 162 165 166 167 170 171 172 "
    "173 175 176 177 178 180 181 182 183 184 185 186 187 188 189 190 191 192 193 195 196 197 198 199".split()
)

#: First two digits of GB/T 2260 codes: provinces, and since 2018 the residence permits of Hong Kong, Macau and Taiwan.
PROVINCES = frozenset(
    map(
        int,
        "11 12 13 14 15 21 22 23 31 32 33 34 35 36 37 41 42 43 44 45 46 50 51 52 53 54 61 62 63 64 65 71 81 82 83".split(),
    )
)
#: Years of birth that an identity number can have. The later one leaves room for releases that are used for years.
FIRST_YEAR, LAST_YEAR = 1880, 2035

#: Area codes of the mainland without the leading 0 (MIIT numbering plan): two digits, or the first two of three.
AREAS_TWO = frozenset([10, 20, 21, 22, 23, 24, 25, 27, 28, 29])
#: Three-digit area codes by their first two digits: the third digits in use.
AREAS_THREE = {
    31: "0123456789", 33: "5", 34: "9", 35: "0123456789", 37: "0123456789", 39: "123456789",
    41: "123456789", 42: "1279", 43: "123456789", 44: "08", 45: "12345679", 46: "4789", 47: "0123456789", 48: "23",
    51: "0123456789", 52: "37", 53: "0123456789", 54: "36", 55: "0123456789", 56: "123456", 57: "0123456789", 58: "0",
    59: "123456789", 63: "12345", 66: "0238", 69: "12", 70: "1", 71: "0123456789", 72: "248", 73: "013456789", 74: "3456",
    75: "0123456789", 76: "0236889", 77: "0123456789", 79: "0123456789", 81: "23678", 82: "567", 83: "0123456789",
    85: "123456789", 87: "0123456789", 88: "13678", 89: "12345678", 90: "123689", 91: "123456789", 93: "0123456789",
    94: "13", 95: "123456", 97: "01234567", 99: "0123456789",
}  # fmt: skip

#: Issuer ranges of payment cards (ISO/IEC 7812; published lists of the schemes): first four digits from and to, the
#: lengths that are in use, and others that are allowed but rare (WEAK).
CARD_RANGES: tuple[tuple[int, int, frozenset[int], frozenset[int]], ...] = (
    (2200, 2204, frozenset([16]), frozenset([17, 18, 19])),  # Mir
    (2221, 2720, frozenset([16]), frozenset()),  # Mastercard, series 2
    (3000, 3059, frozenset([14]), frozenset([16, 17, 18, 19])),  # Diners Club
    (3095, 3095, frozenset([14]), frozenset([16, 17, 18, 19])),
    (3400, 3499, frozenset([15]), frozenset()),  # American Express
    (3528, 3589, frozenset([16]), frozenset([17, 18, 19])),  # JCB
    (3600, 3699, frozenset([14]), frozenset([16, 17, 18, 19])),  # Diners Club
    (3700, 3799, frozenset([15]), frozenset()),  # American Express
    (3800, 3999, frozenset([14]), frozenset([16, 17, 18, 19])),  # Diners Club
    (4000, 4999, frozenset([16]), frozenset([13, 18, 19])),  # Visa
    (5100, 5599, frozenset([16]), frozenset()),  # Mastercard
    (6011, 6011, frozenset([16]), frozenset([17, 18, 19])),  # Discover
    (6013, 6014, frozenset([17, 19]), frozenset([16, 18])),  # debit cards of Chinese banks from before 62
    (6029, 6029, frozenset([16, 18, 19]), frozenset()),
    (6033, 6037, frozenset([16, 18, 19]), frozenset()),
    (6200, 6299, frozenset([16, 17, 18, 19]), frozenset()),  # UnionPay
    (6440, 6499, frozenset([16]), frozenset([17, 18, 19])),  # Discover
    (6500, 6599, frozenset([16]), frozenset([17, 18, 19])),
    (8100, 8171, frozenset([16, 17, 18, 19]), frozenset()),  # UnionPay, since 2015
    (9558, 9559, frozenset([16, 19]), frozenset([18])),  # debit cards of ICBC and ABC from before 62
)
#: Six-digit issuer numbers of Chinese debit cards with 19 digits that begin with a 4: the only common Visas of 19.
CARD_LONG_VISA = frozenset([436742, 436745, 456351])
CARD_LENGTHS = range(13, 20)

#: Top-level domains in which people have mail, beside those of countries (IANA root zone; the common ones).
MAIL_DOMAINS = frozenset(
    "com net org edu gov mil int info biz name pro aero coop museum jobs mobi travel tel cat asia post xxx app dev top "
    "xyz site online store shop club vip wang ltd group cloud tech work email live life world today news blog space "
    "link fun icu ink art design team company center email test example invalid".split()
)
#: Country codes that are top-level domains (ISO 3166-1 with eu, uk, ac, su).
COUNTRY_DOMAINS = frozenset(
    "ac ad ae af ag ai al am ao aq ar as at au aw ax az ba bb bd be bf bg bh bi bj bm bn bo br bs bt bw by bz ca cc cd cf "
    "cg ch ci ck cl cm cn co cr cu cv cw cx cy cz de dj dk dm do dz ec ee eg er es et eu fi fj fk fm fo fr ga gd ge gf gg "
    "gh gi gl gm gn gp gq gr gs gt gu gw gy hk hm hn hr ht hu id ie il im in io iq ir is it je jm jo jp ke kg kh ki km kn "
    "kp kr kw ky kz la lb lc li lk lr ls lt lu lv ly ma mc md me mg mh mk ml mm mn mo mp mq mr ms mt mu mv mw mx my mz na "
    "nc ne nf ng ni nl no np nr nu nz om pa pe pf pg ph pk pl pm pn pr ps pt pw py qa re ro rs ru rw sa sb sc sd se sg sh "
    "si sk sl sm sn so sr ss st su sv sx sy sz tc td tf tg th tj tk tl tm tn to tr tt tv tw tz ua ug uk us uy uz va vc ve "
    "vg vi vn vu wf ws ye yt za zm zw".split()
)
#: Countries at the end of postal items' numbers (UPU S10-12): ISO 3166-1, small letters here.
POST_COUNTRIES = (COUNTRY_DOMAINS | {"gb", "sj", "um", "bq", "eh", "mf"}) - {"uk", "ac", "su"}
#: Endings of file names: what stands behind the @ of logo@2x.png is no domain.
FILE_ENDINGS = frozenset("png jpg jpeg gif webp svg bmp ico heic css scss js jsx tsx json html xml map woff".split())

#: Registered countries of IBANs and the length of theirs (ISO 13616, SWIFT registry of 2025).
IBAN_LENGTHS = {
    "AD": 24, "AE": 23, "AL": 28, "AT": 20, "AZ": 28, "BA": 20, "BE": 16, "BG": 22, "BH": 22, "BI": 27, "BR": 29,
    "BY": 28, "CH": 21, "CR": 22, "CY": 28, "CZ": 24, "DE": 22, "DJ": 27, "DK": 18, "DO": 28, "EE": 20, "EG": 29,
    "ES": 24, "FI": 18, "FK": 18, "FO": 18, "FR": 27, "GB": 22, "GE": 22, "GI": 23, "GL": 18, "GR": 27, "GT": 28,
    "HN": 28, "HR": 21, "HU": 28, "IE": 22, "IL": 23, "IQ": 23, "IS": 26, "IT": 27, "JO": 30, "KW": 30, "KZ": 20,
    "LB": 28, "LC": 32, "LI": 21, "LT": 20, "LU": 20, "LV": 21, "LY": 25, "MC": 27, "MD": 24, "ME": 22, "MK": 19,
    "MN": 20, "MR": 27, "MT": 31, "MU": 30, "NI": 28, "NL": 18, "NO": 15, "OM": 23, "PK": 24, "PL": 28, "PS": 29,
    "PT": 25, "QA": 29, "RO": 24, "RS": 22, "RU": 33, "SA": 24, "SC": 31, "SD": 18, "SE": 24, "SI": 19, "SK": 24,
    "SM": 27, "SO": 23, "ST": 25, "SV": 28, "TL": 23, "TN": 24, "TR": 26, "UA": 29, "VA": 22, "VG": 24, "XK": 20,
    "YE": 30,
}  # fmt: skip

#: Countries as travel documents have them (ISO 3166-1 alpha-3; ICAO Doc 9303 part 3).
COUNTRIES_THREE = frozenset(
    "ABW AFG AGO AIA ALA ALB AND ARE ARG ARM ASM ATA ATF ATG AUS AUT AZE BDI BEL BEN BES BFA BGD BGR BHR BHS BIH BLM BLR "
    "BLZ BMU BOL BRA BRB BRN BTN BVT BWA CAF CAN CCK CHE CHL CHN CIV CMR COD COG COK COL COM CPV CRI CUB CUW CXR CYM CYP "
    "CZE DEU DJI DMA DNK DOM DZA ECU EGY ERI ESH ESP EST ETH FIN FJI FLK FRA FRO FSM GAB GBR GEO GGY GHA GIB GIN GLP GMB "
    "GNB GNQ GRC GRD GRL GTM GUF GUM GUY HKG HMD HND HRV HTI HUN IDN IMN IND IOT IRL IRN IRQ ISL ISR ITA JAM JEY JOR JPN "
    "KAZ KEN KGZ KHM KIR KNA KOR KWT LAO LBN LBR LBY LCA LIE LKA LSO LTU LUX LVA MAC MAF MAR MCO MDA MDG MDV MEX MHL MKD "
    "MLI MLT MMR MNE MNG MNP MOZ MRT MSR MTQ MUS MWI MYS MYT NAM NCL NER NFK NGA NIC NIU NLD NOR NPL NRU NZL OMN PAK PAN "
    "PCN PER PHL PLW PNG POL PRI PRK PRT PRY PSE PYF QAT REU ROU RUS RWA SAU SDN SEN SGP SGS SHN SJM SLB SLE SLV SMR SOM "
    "SPM SRB SSD STP SUR SVK SVN SWE SWZ SXM SYC SYR TCA TCD TGO THA TJK TKL TKM TLS TON TTO TUN TUR TUV TWN TZA UGA UKR "
    "UMI URY USA UZB VAT VCT VEN VGB VIR VNM VUT WLF WSM YEM ZAF ZMB ZWE".split()
)

#: First letters of Hong Kong identity numbers that have two (Immigration Department, published list).
HKID_PAIRS = frozenset("EC EG EP WX XA XB XC XD XE XG XH".split())
#: First two digits of IMEIs: the bodies that give out type allocation codes (GSMA TS.06).
IMEI_BODIES = frozenset(map(int, "01 33 35 44 45 49 50 51 52 53 54 86 91 98 99".split()))
#: US social security numbers that were printed in advertisements.
SSN_PRINTED = frozenset([78051120, 219099999, 457555462])

#: Carriers' prefixes of waybill numbers, and how many characters follow, of which the last eight are digits.
WAYBILL_PREFIXES = (
    ("SF", 12, 15), ("YT", 13, 16), ("JT", 13, 13), ("JD", 11, 18), ("ZTO", 10, 14), ("STO", 10, 15), ("YD", 13, 15),
    ("DPK", 10, 14), ("DPL", 10, 14), ("DBL", 10, 14), ("BEST", 10, 14), ("KY", 13, 15), ("UC", 11, 14), ("ANE", 10, 14),
    ("LP", 14, 16), ("CN", 13, 16), ("JJD", 15, 20), ("TBA", 12, 13), ("ZJS", 11, 13), ("XD", 13, 13), ("DN", 13, 14),
)  # fmt: skip
#: Lengths of waybill numbers that are digits alone.
WAYBILL_DIGITS = frozenset([12, 13, 14, 15])

_DAYS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


def is_date(year: int, month: int, day: int) -> bool:
    """Whether that day was, within the years that birthdays can have."""
    if not (FIRST_YEAR <= year <= LAST_YEAR and 1 <= month <= 12 and 1 <= day <= _DAYS[month - 1]):
        return False
    return (month, day) != (2, 29) or (year % 4 == 0 and (year % 100 != 0 or year % 400 == 0))


def card_grade(first_four: int, length: int) -> int:
    """GOOD, WEAK or BAD for the first four digits and the length of a card number; the check digit is not asked."""
    for low, high, usual, rare in CARD_RANGES:
        if low <= first_four <= high:
            return GOOD if length in usual else WEAK if length in rare else BAD
    return BAD
