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
#: Years of birth that an identity number can have: of people alive. The later one leaves room for releases that are used
#: for years.
FIRST_YEAR, LAST_YEAR = 1905, 2035

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
    (6200, 6299, frozenset([16, 19]), frozenset([17, 18])),  # UnionPay
    (6440, 6499, frozenset([16]), frozenset([17, 18, 19])),  # Discover
    (6500, 6599, frozenset([16]), frozenset([17, 18, 19])),
    (8100, 8171, frozenset([16, 19]), frozenset([17, 18])),  # UnionPay, since 2015
    (9558, 9559, frozenset([16, 19]), frozenset([18])),  # debit cards of ICBC and ABC from before 62
)


def _numbers(text: str) -> frozenset[int]:
    """The numbers of a list such as ``436742 622200-622203``."""
    spans = [part.partition("-")[::2] for part in text.split()]
    return frozenset(number for low, high in spans for number in range(int(low), int(high or low) + 1))


#: Six-digit issuer numbers of banks in China as they are commonly known (ISO/IEC 7812-1; cards of 16 and 19 digits; not
#: all of them, and not taken from one list). Without a word, a column or gaps only these are told from other long numbers: the schemes' ranges are wide.
CARD_ISSUERS = _numbers(
    "620058 620200-620205 621225-621229 621240 621270 621288 621300-621305 621370-621377 621558-621559 621618 621670 "
    "621720-621724 621761-621763 622200-622215 622230-622246 622302-622304 622502-622504 622597-622599 622846 622889 "
    "623062 623229 623260 623271-623272 625330-625332 625708-625709 625858-625861 625900 625914-625921 625941-625942 "
    "628286 628288 955880-955882 955888 "  # Industrial and Commercial Bank
    "620059 621282 621336 621619 621671 622821-622827 622836-622841 622843-622849 623018 623206 623575 625170-625171 "
    "625336 625996-625998 625826-625828 628268-628269 955950 955990 103000 "  # Agricultural Bank
    "456351 601382 620025-620026 620061 620202-620203 620210-620211 620513-620514 620531 621041 621212 621231 621248-621249 "
    "621256 621283 621293-621294 621330-621334 621342-621343 621364 621394 621568-621569 621620 621638 621648 "
    "621660-621669 621672 621725 621741 621756-621759 621782 621785-621790 622273-622274 622346-622348 622380 622479-622480 "
    "622750-622765 622770-622771 622788 622789 623040 623184 623208 623263 623309 623569 623571-623573 623575 623586 625040 "
    "625042 625055 625140-625141 625333-625334 625337 625905-625910 628312-628313 628388 "  # Bank of China
    "436742 436745 552245 589970 620060 620107 621080-621084 621284 621466-621467 621487-621488 621499 621598 621621 "
    "621700 622166 622168 622280 622288 622381-622382 622675-622677 622700 622707-622708 622725 622728 622966 622988 623094 "
    "623211 623251 623350 623668-623669 625362-625363 625955-625956 625964-625966 628266 628316-628317 "  # Construction
    "405512 601428 620013 620021 620521 621002 621069 621335 621436 622250-622253 622258-622262 622284 622285 622656 "
    "623261 625028-625029 628216 628218 "  # Bank of Communications
    "410062 468203 524011 620520 621286 621299 621483 621485-621486 622575-622582 622588 622598 622609 623126 623136 "
    "623262 625802-625803 690755 628262 628362 628290 "  # China Merchants Bank
    "620062 620529 621095-621096 621098 621285 621599 621622 621674 621797-621799 622150-622151 622180-622181 622188 622199 "
    "622810-622812 623218-623219 623698-623699 625367-625368 625603 625919 628310 955100 "  # Postal Savings
    "620535 621489-621492 622650 622655 622657-622674 622685 622687 623155-623159 623253 625339 625975-625981 "
    "628201-628202 "  # Everbright
    "438588-438589 620550 622571-622573 622591-622593 622901-622902 622908-622909 622922 625082-625087 625353 625356 "
    "625960-625963 628212 966666 "  # Industrial Bank
    "433670-433671 433680 442729-442730 620082 620527 621767-621773 622453 622456 622459 622680 622688-622692 622696 622698 "
    "622916-622919 622998-622999 623280 623328 628206 628208-628209 628370-628372 "  # Citic
    "415599 421393 421865 427570-427571 464580-464581 472067-472068 620537 621691 622600-622603 622615-622623 623198 623255 "
    "623258 623466 623683 625188 625911-625913 628258 "  # Minsheng
    "620530 621351-621352 621390 621791-621796 622176-622177 622228 622276-622277 622500 622516-622523 623250 623511 625831 "
    "625833 625957-625958 625970-625971 625993 628221-628222 984301 984303 "  # Pudong Development
    "602907 621626 622155-622158 622298 622525-622526 622535-622536 622538-622539 622983 622986 622989 623058 623269 "
    "625360-625361 627066-627069 628296 "  # Ping An
    "621222 622630-622638 622697 623020-623023 623557 625967-625969 628318 "  # Hua Xia
    "520152 620037 621462 622555-622560 622568 623259 623506 625071-625072 625805-625810 625939 628259-628260 685800 "
    # Guangfa; of towns and counties: Beijing, Shanghai, Jiangsu, Ningbo, Nanjing, Hangzhou, Zheshang, Bohai, Hengfeng,
    "422160-422161 602969 621030 621420 621468 622163 622851-622853 623111 438600 620522 621005 621050 621243 622172 "
    "622267-622268 622278-622279 622300 622468 622892 622985 622987 623183 623185 621076 622131 622173 622873 622876 "
    "628210 621279 621418 622281-622282 622308 622316-622318 622778 628207 621259 621777 622303 622305 622595-622596 "
    "623179 628242 603367 621536 622425 622478 622878 623061 628236 621019 622309 623128 628246 620552 621268 621453 "
    "622684 622884 622383-622384 623078 "
    # Huishang, Tianjin, Chengdu, Chongqing, Changsha, Harbin, Dalian, Shengjing, Xi'an, Lanzhou, Qilu, Qingdao, Rural
    "621775 622137 622327 622340 622366 622651 622877 622879 623203 623664 620060 621290 622331 622426 622625-622626 623109 "
    "622132-622134 622170 623010 623070 623094 623096 622427 622855 622884 622889 622898 622908 623098 622859 622861 622867 "
    "622868 622880 622881 622882 622884 622885 622886 622891 622893 622895 622897 622899 622900 622906 622907 622926-622929 "
    "622931 622932 622933 622935 622936 622937 622938 622939 622940 622943 622946 622947 622949 622954 622955 622959 622962 "
    "622961 622967 622970 622971 622972 622973 622974 622976 622977 622978 622979 622980 622981 622990-622996 621028-621029 "
    "621036-621037 621058-621061 621200 621201 621215 621245 621251 621253 621258 621260 621265 621338-621339 621413 621457 "
    "621458 621461 621463 621515-621521 621526-621529 621561 621589 621592 621690 621700 621719 621728-621730 621755 621778 "
    "623027-623029 623035-623039 623055-623060 623065-623069 623072-623077 623085-623095 623190 623193 623200-623202 623270"
)
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

#: Who registers an organisation, and the kinds of organisations that it registers: the first two characters of unified
#: social credit codes (GB 32100-2015, table 1, with its amendments).
CREDIT_PAIRS = frozenset(
    "11 12 13 19 21 29 31 32 33 34 35 39 41 49 51 52 53 59 61 62 69 71 72 79 81 89 91 92 93 A1 A9 N1 N2 N3 N9 Y1".split()
)

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
