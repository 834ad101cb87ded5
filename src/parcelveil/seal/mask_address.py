"""Masks of addresses: a road that is certain, its number where the rest proves it, and `**` for all else.

::

    >>> import pyarrow as pa
    >>> mask_address(pa.array(["徐民路308号3幢2单元501室", "文三路18弄3号楼", "幸福小区3幢"])).to_pylist()
    ['徐民路308号**', '文三路**', '**']
    >>> mask_address(pa.array(["120 N Main St Apt 4", "PO Box 12", None])).to_pylist()
    ['** Main St **', '**', None]

The rules are an allow-list, so text that nobody foresaw is hidden:

* A road stands at the start, behind administrative names (…市…区…街道), or behind a blank or comma. Its
  stem has two to four characters, none of them a numeral (but before 路), a unit word or a word for a person.
  A stem that begins with a surname shows only if it is short and a number follows, or if it is one of the
  road names that nearly every town has (人民, 中山 …): so `李雷东路8号` and `王小明中山路3号` give `**`.
* Only 路, 街, 大街 and 大道 are roads. 巷, 弄, 里, 村 and 组 are not: a number there is the household.
* The road number (`308号`, one to four ASCII digits) shows only at the start or behind administrative names,
  and only if the text ends there, or a building (3幢, 3栋, 3号楼, A座) or a place name follows. Directly before
  a unit, floor, room, hyphen or bare number, it may itself be the building, and is hidden.
* Of a Latin address, the street name between the house number and a street word (`Main St`) shows.

What is shown never holds other characters than Han, `[0-9]{1,4}号`, Latin letters and the blank.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from parcelveil.seal.passes import buffers, cut_after_road, from_buffers

HIDDEN = "**"

#: Road stems that towns all over the country share: certain even when the first character is a surname too.
_SHARED_STEMS = (
    "人民 中山 解放 建设 和平 胜利 新华 民主 文化 友谊 团结 光明 幸福 朝阳 长江 黄河 珠江 淮河 长安 延安 北京 上海 南京 "
    "广州 武汉 天津 重庆 杭州 苏州 成都 西安 青年 青岛 迎宾 环城 滨江 滨河 滨海 沿江 沿河 江南 江北 河西 河东 站前 车站 火车站 "
    "体育 体育馆 学院 学府 大学 科技 科学 工业 工农 农业 劳动 公园 花园 广场 机场 人民公园 复兴 振兴 兴业 创业 创新 高新 开发 "
    "东风 红旗 前进 跃进 东方 太平 永安 平安 健康 康复 教育 师范 世纪 金融 中心 中央 黄山 泰山 华山 衡山 昆仑 天山 庐山 嵩山 "
    "石景山 白云 白云山 金沙江 王府井 中关村 鼓楼 钟楼 五一 五四 八一 七一 三八 青春 英雄 凯旋 湖滨 湖南 湖北 江苏 浙江 山东 "
    "河南 河北 四川 福建 广东 安徽 云南 贵州 石化 万寿 黄浦 龙江 张江 淮海 漕溪 庆春 延河 文昌 文明 文汇 府前 政府 市府 政通"
).split()

#: Family names. The list is wide on purpose: a surname in front of a road only hides more.
_SURNAMES = (
    "王李张刘陈杨黄赵吴周徐孙朱马胡郭何高罗林郑梁谢宋唐韩许冯邓曹彭曾肖田董袁于潘蒋杜蔡余程魏叶吕丁苏任沈姚姜卢崔钟谭汪范陆金石廖贾"
    "夏付方韦邹白熊孟秦邱尹江薛闫侯段雷史龙陶顾贺黎郝毛邵龚万钱武严戴孔向覃常汤俞易季温康施牛樊葛邢安齐伍庞颜倪庄聂章鲁岳翟殷詹申"
    "欧耿关兰焦柳左祝包宁符阮纪梅童凌毕单裴霍涂成苗谷盛曲翁冉骆蓝路游辛靳管柴蒙鲍华喻祁蒲房滕屈饶牟艾尤时穆农司卓古吉缪简车项连芦"
    "麦褚娄窦岑景党宫费卜冷晏席卫米柏宗瞿桂全佟应臧闵苟邬边卞姬师仇栾隋商刁沙荣巫寇桑郎甄丛仲虞敖巩明佘池查麻苑迟邝官封谈匡鞠"
    "惠荆乐冀郁胥南班储原栗燕楚鄢劳谌奚皮粟冼蔺楼盘满闻位厉伊仝区郜海阚花权强帅屠豆朴盖练廉禹井祖漆巴丰支卿国狄平计索宣晋相初"
    "门云容敬来扈晁芮都普阙浦戚伏鹿薄邸雍辜羊阿乌母裘亓修邰赫杭况那宿鲜印逯隆茹诺战慕危玉银亢嵇公尚司上官皇令诸宇呼淳单慕东西独"
    "張劉陳楊黃趙吳孫馬羅鄭謝韓馮鄧許蔣葉呂蘇盧鐘譚陸賈鄒閆龍陶顧賀龔錢嚴湯溫龐顏倪莊聶齊關蘭歐畢單駱藍魯衛"
)
_NICKNAME_FIRST = "小阿老大丽婷娜娟敏静芳艳玲霞芬莉萍琳倩莹颖慧媛妍蕾珍佳欣怡晓雅雯杰伟勇军磊涛超鹏飞斌浩俊亮刚辉博宇轩梓涵诗萌妮妞宝贝"
_NUMERALS = "〇零一二三四五六七八九十廿卅两壹贰叁肆伍陆柒捌玖拾佰仟兩貳參陸甲乙丙丁戊己庚辛壬癸"
_UNIT_WORDS = "号號幢栋棟座楼樓室房层層单單户戶组組队隊村邨苑屋舍铺鋪摊攤档檔柜櫃店库庫梯排期区區弄巷里衖段线線"
_OFFICE_WORDS = "省市县縣镇鎮乡鄉旗盟路街道"
_PERSON_WORDS = "收寄转轉交给給的之您你他她我人姐哥弟妹叔姨妈爸爷奶婆嫂先生女士师旁边邊侧側口附対对對近靠"
_DIRECTIONS = "东東西南北中内外上下前后後新老大环環支"
_COUNTING = "一二三四五六七八九十"
#: A place with inner lanes: a numeral between such a place and 路 or 街 counts lanes of the place.
_INNER_PLACES = "城场場厂廠园園庄莊屯寨坊营營站港湾灣院校厦廈馆館"
#: Words of shopping streets, where a number is the shop.
_SHOPPING = "步行商业業美食吃购購服装裝材饰飾鞋衣布货貨贸貿金内"

_NUMBER = "[0-9]{1,4}[号號]"
#: What may stand between a road number and the building or place behind it.
_GAP = r"[ ,，、(（]{0,3}"
_BUILDING = "(?:[0-9]{1,3}(?:幢|栋|棟|号楼|號樓)|[A-Za-z]{1,2}[0-9]{0,2}(?:座|幢|栋|棟))"
#: First characters that make a word behind `308号` a part of the number, or a unit of a building.
_NO_PLACE = (
    _NUMERALS + _UNIT_WORDS + "东東西南北中左右前后後上下内外大小负負第地底顶頂门門车車商仓倉厅廳附之到至与與和及以东"
)

_WORD = "[A-Za-zÀ-ÖØ-öø-ÿ]{2,20}"
_STREET = "(?:Street|Avenue|Road|Drive|Boulevard|Lane|Way|Parkway|Str?|Ave?|Rd|Dr|Blvd|Ln|Pkwy)"
_NO_STREET = (
    r"(?i)\b(?:apt|apartment|unit|suite|ste|floor|flr?|room|rm|bldg|building|lot|trlr|box|po|attn|care|of|lobby|dept|"
    r"no|nr|num|number|door|flat|gate|block|blk|tower|wing|rear|front|side|upper|lower|and|to|mr|mrs|ms|miss|"
    r"one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|\w+teen|twenty|thirty|forty|fifty|sixty|"
    r"seventy|eighty|ninety|hundred|thousand)\b"
)


class _Patterns(NamedTuple):
    whole: str  # road at the start or behind administrative names; groups road, number, road, number
    behind: str  # what begins with an administrative name or a blank
    numbered: str  # road at the very start, with a number that shows
    inside: str  # road behind a blank or comma; group road


def _char_class(forbidden: str) -> str:
    """A regex class of the Han characters of the basic plane without ``forbidden``."""
    ranges, start = [], 0x3400
    for code in [*sorted({ord(c) for c in forbidden}), 0xA000]:
        if start < code:
            ranges.append(f"{chr(start)}-{chr(code - 1)}")
        start = max(start, code + 1)
    return f"[{''.join(ranges)}]"


@cache
def _patterns() -> _Patterns:
    banned = _NUMERALS + _UNIT_WORDS + _OFFICE_WORDS + _PERSON_WORDS
    rest = _char_class(banned + "\u4dc0-\u4dff")
    first = _char_class(banned + _SURNAMES)
    long_first = _char_class(banned + _SURNAMES + _NICKNAME_FIRST)
    no_lanes = _char_class(banned + _INNER_PLACES)
    street_first = _char_class(banned + _SURNAMES + _NICKNAME_FIRST + _SHOPPING)
    street_rest = _char_class(banned + _SHOPPING + _INNER_PLACES)
    surname = "[" + "".join(sorted(set(_SURNAMES) - set(banned) - set(_SHOPPING))) + "]"
    shared = "|".join(sorted(_SHARED_STEMS, key=len, reverse=True))
    shared = f"(?:{shared}|[经經纬緯文][{_COUNTING}]|[东東西南北]?[一二三四五六]环)"
    wide = "(?:路|大道)"
    certain = (
        f"(?:{shared}[{_DIRECTIONS}{_COUNTING}]{{0,3}}(?:路|大?街|大道)"
        f"|{first}{rest}{wide}"
        f"|{long_first}(?:{rest}[{_DIRECTIONS}]{{0,2}}|{rest}{rest}){wide}"
        f"|{long_first}{no_lanes}[{_DIRECTIONS}]?[{_COUNTING}]{{1,2}}[{_DIRECTIONS}]?路"
        f"|{street_first}{street_rest}(?:[{_DIRECTIONS}]{{0,2}}|{street_rest})大?街)"
    )
    # A surname and one more character may be a person called 王小路: only a number behind it makes it a road.
    guarded = f"(?:{surname}{rest}{wide}|{surname}{street_rest}大?街)"
    office = _char_class(_UNIT_WORDS + "道")
    no_district = _char_class(_UNIT_WORDS + _COUNTING + "道小园園校社片库矿厂廠厦厦院景住宅生活东東西南北中")
    no_city = _char_class(_UNIT_WORDS + "道超城门門夜菜股集都闹鬧")
    prefix = (
        f"{office}*(?:{office}省|{no_city}市|{no_district}[区區]|自治[区區]|新[区區]|[东西]城[区區]"
        f"|{office}[县縣镇鎮乡鄉旗盟]|街道)[ ,，]?"
    )
    place = _char_class(_NO_PLACE)
    proof = rf"(?:\s*$|{_GAP}(?:{_BUILDING}|{place}{place}).*$)"
    # 街道 is an office, 街坊 and 路桥 are quarters and districts: what follows a road must not change it.
    after = "(?:$|[^道坊区區村镇鎮乡鄉市县縣桥橋].*$)"
    whole = (
        rf"(?s)^[\s*]*(?:{prefix})*(?:({certain})(?:({_NUMBER}){proof}|{after})"
        rf"|({guarded})(?:({_NUMBER}){proof}|[0-9].*$))"
    )
    behind = rf"^(?:[\s*]|{prefix})"
    numbered = rf"(?s)^(?:{certain}|{guarded}){_NUMBER}{proof}"
    inside = rf"(?s)^.*?[\s,，、;；:：)）]({certain}){after}"
    return _Patterns(whole, behind, numbered, inside)


def mask_address(values: pa.StringArray) -> pa.StringArray:
    """The masks of addresses (road and below, or a whole address on one line).

    Args:
        values: shape (n,), any text; null stays null.

    Returns:
        shape (n,), each `<what is certain>**`, or `**`. A Latin street is between two: `** Main St **`.
    """
    hidden = pc.if_else(pc.is_valid(values), HIDDEN, pa.scalar(None, pa.string()))
    patterns = _patterns()
    # The mere test runs on RE2's automaton; groups cost several times as much, so only roads pay for them.
    road = pc.match_substring_regex(values, patterns.whole)
    masks = _put(hidden, road, _roads(values.filter(road)))
    rest = pc.and_(pc.invert(road), pc.match_substring_regex(values, r"[\s,，、;；:：)）].*[路街道]"))
    if pc.any(rest).as_py():
        inside = pc.and_(rest, pc.match_substring_regex(values, patterns.inside))
        masks = _put(masks, inside, _replace(values.filter(inside), patterns.inside, r"\1" + HIDDEN))
    return _put_latin(values, masks, pc.invert(road))


def _roads(values: pa.StringArray) -> pa.StringArray:
    """What shows of texts that match ``whole``.

    No stem holds 路, 街 or 道, so where no administrative name comes first the road ends at the first of them: a
    byte loop then does what groups would do at thirty times the price.
    """
    patterns = _patterns()
    behind = pc.match_substring_regex(values, patterns.behind)
    plain = values.filter(pc.invert(behind))
    numbered = np.asarray(pc.match_substring_regex(plain, patterns.numbered))
    ending = np.frombuffer(HIDDEN.encode(), dtype=np.uint8)
    offsets, data = cut_after_road(*buffers(plain), numbered, ending)
    shown = from_buffers(offsets, data, np.ones(len(plain), dtype=bool), pa.string())
    if len(plain) == len(values):
        return shown
    other = _replace(values.filter(behind), patterns.whole, r"\1\2\3\4" + HIDDEN)
    return pc.replace_with_mask(pc.replace_with_mask(values, behind, other), pc.invert(behind), shown)


def _put_latin(values: pa.StringArray, masks: pa.StringArray, rest: pa.BooleanArray) -> pa.StringArray:
    """``masks`` with those of Latin addresses (a house number, then a street) among ``rest``."""
    street = (
        rf"(?i)(?:^|[,;]\s*)[0-9]{{1,5}}[a-z]? +(?:[NSEW]{{1,2}}\.? +)?({_WORD}(?: {_WORD})? {_STREET})(?:$|[\s.,;#])"
    )
    latin = pc.and_(rest, pc.match_substring_regex(values, street))
    if not pc.any(latin).as_py():
        return masks
    shown = _replace(values.filter(latin), rf"(?s)^.*?(?:{street}).*$", rf"{HIDDEN} \1 {HIDDEN}")
    shown = pc.if_else(pc.match_substring_regex(shown, _NO_STREET), HIDDEN, shown)
    return _put(masks, latin, shown)


def _replace(values: pa.StringArray, pattern: str, by: str) -> pa.StringArray:
    return pc.replace_substring_regex(values, pattern, by)


def _put(masks: pa.StringArray, where: pa.BooleanArray, shown: pa.StringArray) -> pa.StringArray:
    return pc.replace_with_mask(masks, pc.fill_null(where, False), shown)
