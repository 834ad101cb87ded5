"""Words by which a label says what a text is, and words that look like names and are none.

::

    >>> is_han_name("张三"), is_han_name("欧阳娜娜"), is_han_name("金额"), is_han_name("温州市"), is_han_name("张先生")
    (True, True, False, False, False)
    >>> is_latin_name("John Smith"), is_latin_name("New York"), is_latin_name("Main Warehouse")
    (True, False, False)
"""

from __future__ import annotations

import re
from functools import cache

from parcelveil.intake.divisions import divisions

HAN = "\u3400-\u4dbf\u4e00-\u9fff"

_SURNAMES = frozenset(
    "赖畅王李张刘陈杨黄赵吴周徐孙马朱胡郭何高林罗郑梁谢宋唐许韩冯邓曹彭曾肖田董袁潘于蒋蔡余杜叶程苏魏吕丁任沈姚卢姜崔钟谭陆汪范金石廖"
    "贾夏韦付方白邹孟熊秦邱江尹薛闫段雷侯龙史陶黎贺顾毛郝龚邵万钱严覃武戴莫孔向汤常温康施文牛樊葛邢安齐易乔伍庞颜倪庄聂章鲁岳翟"
    "殷詹申欧耿关兰焦俞左柳甘祝包宁尚符舒阮柯纪梅童凌毕单季裴霍涂成苗谷盛曲翁冉骆蓝路游辛靳欧管柴蒙鲍华喻祁蒲房滕屈饶解牟艾尤阳"
    "时穆农司卓古吉缪简车项连芦麦褚娄窦戚岑景党宫费卜冷晏席卫米柏宗瞿桂全佟应臧闵苟邬边卞姬师和仇栾隋商刁沙荣巫寇桑郎甄丛仲虞敖"
    "巩明佘池查麻苑迟邝官封谈匡鞠惠荆乐冀郁胥南班储原栗燕楚鄢劳谌奚皮粟冼蔺楼盘满闻位厉伊仝区郜海阚花权强帅屠豆朴盖练廉禹井祖漆"
    "巴丰支卿国狄平计索宣晋相初门云容敬来扈晁芮都普阙浦戚伏鹿薄邸雍辜羊阿乌母裘亓修邰赫杭况那宿鲜印逯隆茹诺战慕危玉银亢嵇公哈"
    "張劉陳楊黃趙吳孫馬羅鄭謝韓馮鄧許蔣葉呂蘇盧鐘鍾譚陸賈鄒閆龍陶顧賀龔錢嚴湯溫龐顏倪莊聶齊關蘭歐畢單駱藍魯衛蕭閻韋"
)
_COMPOUND = frozenset(
    "欧阳 上官 皇甫 令狐 司徒 诸葛 司马 宇文 呼延 乐正 东方 尉迟 公孙 轩辕 慕容 夏侯 端木 百里 东郭 南宫 西门 长孙 独孤 申屠 "
    "公冶 太史 淳于 单于 闻人 澹台 濮阳 拓跋 赫连 钟离 鲜于 完颜 纳兰 歐陽 司馬 諸葛 尉遲 公孫 慕容 東方 長孫".split()
)
_TITLE = re.compile(r"(?:先生|女士|小姐|太太|同学|老师|师傅|阿姨|经理|老板|收件?|启)$")
#: Words of labels and of trade that begin with a family name.
_NO_NAMES = frozenset(
    "单号 单价 单件 单元 单位 金额 金属 时间 时效 时段 费用 费率 路线 路区 路由 包裹 包装 包邮 包件 全国 全部 全称 温馨 温度 方式 方便 "
    "方形 方寄 方付 方信息 方电话 方地址 方签名 平台 平邮 平信 计费 计重 计泡 计件 支付 国内 国际 国家 应付 应收 成本 文件 文具 安全 "
    "安检 安装 高级 高价 高新 白色 黄色 蓝色 金色 银色 黑色 明细 易碎 易碎品 华为 小米 宁静 关闭 常温 冷藏 冷冻 冷链 商品 商家 商务 "
    "商店 花费 海运 空运 陆运 航空 陆路 通用 连锁 管理 解冻 和谐 农产品 皮具 师傅 官网 官方 房号 车牌 车辆 车次 车型 车间 项目 谈判 "
    "储值 原寄 原寄地 原单 原始 原件 权限 强制 盖章 相关 初始 门店 门牌 门口 门禁 门市 云仓 云打印 容器 容积 都市 普通 普货 普件 "
    "印刷 公里 公斤 公司 公章 公告 危险 危险品 玉器 银行 母婴 羊毛 石材 石油 水果 生鲜 家电 家居 项圈 游戏 游客 农药 米面 麦片 车票 "
    "边境 代收 代签 代理 到付 寄付 月结 现付 现结 付款 付款方 付费 付现 支持 任何 任务 任意 连衣裙 乐器 乐高 左侧 左上 左下 何时 何地 "
    "常用 常见 经济 标快 特快 易燃 向上 毛重 净重 体重 体积 重量 数量 数码 件数 向下 轻放 江浙沪 马上 马桶 万件 万家 万元 高速 高铁 "
    "东方 南方 西北 西南 华东 华南 华北 华中 东北 米袋 白酒 黄酒 红酒 金条 牛奶 牛肉 羊肉 鱼肉 龙虾 花束 花卉 花椒 茶叶 蓝莓 石榴 桃子 "
    "杨梅 梅花 柳橙 桂花 荣耀 联想 司机 司法 邮政 邮件 顺丰 申通 圆通 中通 韵达 极兔 德邦 京东 安能 百世 天天 菜鸟 丰巢 丹鸟 宅急送 "
    "中通快递 申通快递 安能物流 华宇物流 成都 杭州 温州 宁波 金华 常州 南京 海口 云南 江苏 江西 安徽 宁夏 海南 广州 "
    "查询 查验 查件 查收 相片 相机 封箱 封装 施工 温控 危化品 应急 巴士 支架 练习 索赔 宣传 来件 来电 薄膜 阿里 鲜花 鲜活 鲜果 战略 "
    "单证 单据 单日 单双 全新 全程 全额 计划 计数 计量 平方 平板 平装 文档 文字 成人 成品 成功 明确 明日 明天 方案 方向 高度 高低 "
    "宽度 易损 易损件 易腐 包含 包税 柳编 解释 解答 国标 国货 国庆 海外 海关 海鲜 海淘 花盆 车载 班次 班车 商标 商业 时尚 时装 时令 时限 应用 应答 "
    "管件 管材 管道 关税 关于 关注 关联 和田 满减 满意 满送 区域 区号 区间 连接 连带 任一 任选 常规 温水 顾客 "
    "路口 路边 党员 宫颈 经手 经办 收件 寄件 退回 退件 签收 签名 签字 验视 安检 已验视 已安检 实名 保价 声明 声明价值 拒收 改派 自提 代取 派件 派送 "
    "揽收 揽件 取件 取件码 中转 集包 集散 目的地 始发地 大头笔 三段码 标签 面单 底单 存根 联系 联系人 手机 电话 座机 地址 姓名 称呼 公司名 买家 卖家 "
    "客户 顾客 用户 会员 订单 编号 日期 打印 备注 留言 品名 内件 件数 到付款".split()
)
_NO_LAST = frozenset("省市县區区镇鎮乡鄉村路街道店厂部站仓巷弄号幢栋楼室司网点费码号元件箱袋")
_NO_PART = re.compile(
    r"公司|快递|速递|速运|物流|快运|仓库|网点|中心|驿站|超市|旗舰|专营|集团|有限|工厂|商行|银行|医院|学校|大学|电商|贸易|科技|客服|地址|电话|"
    r"手机|签[收字名]|时间|日期|信息|单号|号码|寄件|收件|派件|服务|专线|专送|特快|标快|次日|隔日|当日|到付|寄付|月结|现付|代收|小区|花园|大厦|广场|路口"
)

_PLACE_WORDS = frozenset(
    "street st road rd avenue ave lane ln drive dr boulevard blvd way square court plaza highway parkway north south east west "
    "city town county district province state airport port warehouse center centre hub station depot terminal branch office "
    "outlet store shop mall market tower building block floor room unit suite apartment apt flat estate park garden gardens "
    "ltd limited inc llc gmbh ag co corp corporation company group trading logistics express post postal courier delivery "
    "parcel shipping service services international national priority standard economy ground air saver overnight mail "
    "package freight cargo customer customs order number date time weight pieces pay paid prepaid collect sender receiver "
    "recipient shipper consignee phone tel mobile address signature contents goods category remarks route sort code "
    "print printed serial label fragile handle care this side up keep dry do not bend hong kong china usa uk germany "
    "united states kingdom japan korea france italy spain new los san las santa saint sao rio el la buenos abu kuala "
    "cape tel addis ho phnom ulan novosibirsk nizhny st. fort salt baton grand long great the and of via de by for "
    "domestic zone region area electronics clothing food books documents toys home kitchen beauty health sports samples "
    "samsung apple huawei amazon google microsoft sf dhl ups fedex usps ems dpd gls tnt hermes evri yamato sagawa".split()
)


@cache
def _areas() -> frozenset[str]:
    levels = divisions()
    found: set[str] = set(levels.towns.names.tolist())
    for level in (levels.provinces, levels.cities, levels.districts):
        for name in level.names.tolist():
            found.add(name)
            found.add(re.sub(r"(?:省|市|区|县)$", "", name))
    return frozenset(name for name in found if len(name) > 1)


def is_area(text: str) -> bool:
    """Whether ``text`` is a province, city or district of China, with or without the word for it, or a town."""
    return text in _areas()


def is_han_name(text: str) -> bool:
    """Whether ``text`` looks like the whole name of a person: a family name and one or two characters more."""
    bare = _TITLE.sub("", text)
    if bare in _NO_NAMES or text in _NO_NAMES or _NO_PART.search(text) or bare[-1:] in _NO_LAST:
        return False
    if "·" in bare:
        return all(2 <= len(part) <= 8 for part in bare.split("·"))
    if bare[:2] in _COMPOUND and 3 <= len(bare) <= 4:
        return True
    return 2 <= len(bare) <= 3 and bare[0] in _SURNAMES and not is_area(bare)


def is_latin_name(text: str) -> bool:
    """Whether ``text`` looks like a given and a family name in letters of a script that has capitals."""
    words = [word.strip(".,'’-") for word in text.split()]
    full = [word for word in words if len(word) > 1]
    return (
        len(full) >= 2
        and len(words) <= 4
        and all(word[0].isupper() and (word[1:].islower() or word.isupper() or len(word) > 3) for word in full)
        and not any(word.lower() in _PLACE_WORDS for word in full)
        and not any(char.isdigit() for char in text)
    )
