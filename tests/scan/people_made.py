"""Made texts with names and addresses in known places, for the tests of people.py.

Two worlds that share neither words nor layouts: ``tuning`` draws from the sample day's words (parcelveil.simulate),
``held_out`` from lists and forms that were written apart from the rules and never used to set a number. Nobody in
them exists but by chance; phones are of blocks without subscribers.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from parcelveil.simulate.address_text import addresses
from parcelveil.simulate.draw import Draw
from parcelveil.simulate.people import MOBILE_BLOCKS, family_names, word_lists
from parcelveil.simulate.places import places


@dataclass
class Made:
    """A text, and what is where: (kind, start, end) in bytes."""

    text: bytes = b""
    truth: list[tuple[str, int, int]] = field(default_factory=list)
    phones: list[tuple[int, int]] = field(default_factory=list)

    def add(self, text: str, kind: str = "") -> Made:
        start = len(self.text)
        self.text += text.encode()
        if kind == "phone":
            self.phones.append((start, len(self.text)))
        elif kind:
            self.truth.append((kind, start, len(self.text)))
        return self

    @property
    def hits(self) -> tuple[np.ndarray, np.ndarray]:
        return np.array(self.phones, np.int64).reshape(-1, 2), np.ones(len(self.phones), np.uint8)


@dataclass
class World:
    """Draws of one world."""

    name: Callable[[], str]
    address: Callable[[], str]
    goods: list[str]
    random: random.Random

    def phone(self) -> str:
        return f"{self.random.choice(MOBILE_BLOCKS)}{self.random.randrange(10**8):08d}"


def tuning(seed: int) -> World:
    """Names, addresses and goods of the sample day."""
    draw, words = random.Random(seed), word_lists()
    person, families = words["person"], family_names()
    where = places().draw(Draw(seed, 1), np.zeros(4096, np.bool_))
    rows = places()
    areas = [
        "".join(dict.fromkeys(part or "" for part in parts))
        for parts in zip(*(rows.column(level).take(pa.array(where)).to_pylist() for level in ("region", "city", "district")), strict=True)
    ]  # fmt: skip
    # Remarks at the end (请电话联系) are no part of an address.
    lines = [
        re.split(r"[（(，]| (?=到|请)", line)[0]
        for line in addresses(Draw(seed, 2), np.zeros(4096, np.bool_)).to_pylist()
    ]

    def name() -> str:
        family = draw.choices([n for n, _ in families], [w for _, w in families])[0]
        if draw.random() < 0.18:
            return family + draw.choice(person["given_last"])
        return family + draw.choice(person["given_first"]) + draw.choice(person["given_last"])

    def address() -> str:
        at = draw.randrange(4096)
        return (areas[at] if draw.random() < 0.85 else "") + lines[at]

    return World(name, address, [g for kind in words["goods"].values() for g in kind], draw)


_FAMILIES = (
    "王王王李李李张张刘刘陈杨黄吴赵周徐孙马朱胡林郭何高罗郑梁谢宋唐许邓冯韩曹曾彭萧蔡潘田董袁于余叶蒋杜苏魏程吕丁沈任姚卢傅钟姜崔谭廖范汪陆金石戴"
    "贾韦夏邱方侯邹熊孟秦白江阎薛尹段雷黎史龙陶贺顾毛郝龚邵万覃武钱温莫孔汤赖殷柯祝翟庞兰齐耿苗葛娄尚牟裴甘骆辛盛车屈闵景候单季缪邢柴"
)
_GIVEN = (
    "志强 建华 秀兰 桂英 丽华 文博 子涵 梓萱 浩然 雨桐 思远 佳琪 晓峰 海燕 玉梅 春花 国栋 振宇 嘉豪 欣怡 诗涵 俊杰 天佑 一鸣 宇航 美玲 婷婷 小红 "
    "大伟 永康 长林 庆丰 雅静 若曦 可欣 紫嫣 明哲 正阳 少华 立新 卫东 爱国 红霞 凤英 金凤 亚男 素芬 翠兰 惠敏 静怡 丹丹 莹莹 晶晶 磊磊 敏 静 "
    "伟 强 磊 洋 艳 勇 军 杰 娟 涛 超 霞 平 刚 桂兰 建平 德明 锦程 沛霖 书瑶 昕怡 煜城 炜彤 苡沫 沐阳 言希 知行 云舒 望舒 予安 景行 奕辰 铭轩"
).split()
_ROADS = (
    "盈港 徐民 崧泽 汇金 外青松 华新 纪鹤 漕盈 文三 古墩 莫干山 天目山 丰潭 五常 龙井 学院 翠苑 科苑 深南 滨海 白石 沙河 桃园 南山 粤海 后海 高新南七 "
    "东长安 建国门外 西大望 广渠 朝阳北 望京 阜通 芍药居 天府二 剑南 锦华 蜀汉 二环 航海 中原 花园 农业 经三 未来 珞喻 雄楚 关山 民族 光谷 三阳 香港 "
    "闽江 延安三 辽阳 劲松七 同安 海尔 温泉 八一七北 五四 东大 白马 工农 松山 解放大 红旗 车站 麓山南 潇湘 书院 芙蓉中 韶山北"
).split()
_ESTATES = (
    "徐泾新家园 万科金域缇香 保利香槟苑 绿地云峰 中海悦府 龙湖滟澜山 碧桂园凤凰城 恒信花园 金地自在城 西溪诚园 翠苑四区 景田东社区 桃源居 半岛城邦三期 蔚蓝海岸 "
    "望京西园三区 天通苑北 芍药居北里 蜀都花园 东湖春树里 光谷坐标城 浮山后六小区 鑫江玫瑰园 南屏晚翠 橡树湾 紫金城 学府家园 同济公寓 金源大厦 创业大厦 "
    "数码港大厦 国贸中心 环球广场 汇智科技园 软件园二期 张江药谷 青年公寓 电力小区 铁路家属院 师大附中 第三人民医院 实验小学"
).split()
_AREAS = (
    "上海市青浦区徐泾镇 上海市青浦区 上海市浦东新区张江镇 上海市 闵行区莘庄镇 浙江省杭州市西湖区 浙江省杭州市余杭区五常街道 杭州市西湖区 浙江杭州 广东省深圳市南山区粤海街道 深圳市南山区 "
    "广东深圳福田区 北京市朝阳区望京街道 北京市朝阳区 北京 北京市海淀区 四川省成都市武侯区 成都市锦江区 河南省郑州市金水区 湖北省武汉市洪山区 武汉洪山区 山东省青岛市市南区 "
    "福建省福州市鼓楼区 江苏省苏州市吴中区木渎镇 苏州工业园区 湖南省长沙市岳麓区 内蒙古自治区呼和浩特市赛罕区 广西壮族自治区南宁市青秀区 新疆维吾尔自治区乌鲁木齐市天山区 "
    "河北省保定市涿州市 安徽省阜阳市临泉县杨桥镇 贵州省毕节市织金县"
).split()
_VILLAGES = "前黄村三组12号 柳林村二社 大沟村委会旁 河西村4组 张家庄村村口小卖部 王家坝村6社 石门村东头第三家".split()
_GOODS = (
    "纯棉四件套 儿童保温杯 男士夹克 真皮钱包 充电宝 金骏眉茶叶 山东苹果 智利车厘子 高钙奶粉 白色运动鞋 马丁靴 钢化膜 蓝牙音箱 石榴汁 方便面 安全座椅 "
    "黄桃罐头 温度计 牛仔外套 龙井茶 景德镇瓷器 和田玉吊坠 云南白药 华为手机 小米手环 苏打饼干 曲奇 白板笔 文件夹 金属支架 常温牛奶 万用表 雷朋眼镜"
).split()


def held_out(seed: int) -> World:
    """Names, addresses and goods from the lists above."""
    draw = random.Random(seed)

    def name() -> str:
        if draw.random() < 0.02:
            return draw.choice(["欧阳", "诸葛", "上官", "司徒"]) + draw.choice(_GIVEN)
        return draw.choice(_FAMILIES) + draw.choice(_GIVEN)

    def door() -> str:
        number = draw.randrange
        forms = (
            f"{number(1, 40)}号楼{number(1, 6)}单元{number(1, 20)}0{number(1, 9)}室", f"{number(1, 60)}栋{number(1, 30)}0{number(1, 4)}",
            f"{number(1, 90)}号{number(1, 20)}0{number(1, 4)}室", f"{number(1, 30)}-{number(1, 4)}-{number(1, 20)}0{number(1, 4)}",
            f"{number(1, 20)}幢{number(1, 4)}单元{number(1, 20)}0{number(1, 4)}", f"{draw.choice('ABCDE')}座{number(1, 30)}楼{number(1, 30)}0{number(1, 9)}",
            f"{number(1, 9)}楼", f"{number(1, 20)}0{number(1, 9)}室", f"{draw.choice('一二三四五')}单元{number(1, 9)}0{number(1, 4)}", f"{number(1, 20)}#{number(101, 999)}",
        )  # fmt: skip
        return draw.choice(forms)

    def address() -> str:
        area = draw.choice(_AREAS)
        road = draw.choice(_ROADS) + draw.choice(["路", "路", "路", "路", "街", "大道"])
        roll = draw.random()
        if roll < 0.08:
            return area + draw.choice(_VILLAGES)
        if roll < 0.35:
            return area + road + f"{draw.randrange(1, 2000)}号" + draw.choice(["", draw.choice(_ESTATES)]) + door()
        if roll < 0.6:
            return area + draw.choice(_ESTATES) + door()
        if roll < 0.75:
            return (
                area
                + road
                + f"{draw.randrange(1, 2000)}弄{draw.randrange(1, 200)}号{draw.randrange(1, 20)}0{draw.randrange(1, 5)}室"
            )
        if roll < 0.85:
            return area + road + f"{draw.randrange(1, 900)}号"
        if roll < 0.92:
            return area + " " + road + f"{draw.randrange(1, 900)}号 " + draw.choice(_ESTATES) + door()
        return area + road + draw.choice(_ESTATES) + draw.choice(["", "门口驿站", "南门", "菜鸟驿站", "丰巢柜"])

    return World(name, address, _GOODS, draw)


def waybills(world: World, count: int, forms: tuple[int, ...]) -> Iterator[Made]:
    """Rows, messages and records of the forms given by their numbers; even ones are tuned on, odd ones held out."""
    for at in range(count):
        made = Made()
        form, name, phone, address = forms[at % len(forms)], world.name(), world.phone(), world.address()
        number, goods = f"YT{world.random.randrange(10**13):013d}", world.random.choice(world.goods)
        if form == 0:
            made.add(f"{number},").add(name, "person.name").add(",").add(phone, "phone").add(",")
            made.add(address, "address.cn").add(f",{goods},1.2,寄付\n")
        elif form == 1:
            made.add(f'{at}\t{number}\t{goods}\t2\t"').add(name, "person.name").add('"\t"').add(phone, "phone").add(
                '"\t"'
            )
            made.add(address, "address.cn").add('"\t2026-11-02 10:21:33\n')
        elif form == 2:
            made.add(f'{{"waybillNo":"{number}","receiverName":"').add(name, "person.name").add('","receiverMobile":"')
            made.add(phone, "phone").add('","receiverAddress":"').add(address, "address.cn").add(
                f'","goods":"{goods}"}}\n'
            )
        elif form == 3:
            made.add(f"INSERT INTO t_order VALUES ({at}, '{number}', '").add(address, "address.cn").add("', '")
            made.add(name, "person.name").add("', '").add(phone, "phone").add(f"', '{goods}', NULL);\n")
        elif form == 4:
            made.add(name, "person.name").add(" ").add(phone, "phone").add(" ").add(address, "address.cn").add("\n")
        elif form == 5:
            made.add("帮我寄一下：").add(address, "address.cn").add("，").add(name, "person.name").add("，").add(
                phone, "phone"
            )
            made.add("，谢谢老板\n")
        elif form == 6:
            made.add("收件人：").add(name, "person.name").add("\n电话：").add(phone, "phone").add("\n地址：")
            made.add(address, "address.cn").add(f"\n品名：{goods}\n")
        elif form == 7:
            made.add(f"2026-11-02 10:21:33.120 INFO [http-8] OrderService - 下单成功 单号={number} 收件人={name[:0]}")
            made.add(name, "person.name").add(" 手机=").add(phone, "phone").add(" 地址=").add(
                address, "address.cn"
            ).add(" 耗时=12ms\n")
        elif form == 8:
            made.add(phone, "phone").add(f",{goods},").add(name, "person.name").add(",").add(address, "address.cn").add(
                "\n"
            )
        elif form == 9:
            made.add(name, "person.name").add(phone, "phone").add(address, "address.cn").add("\n")
        yield made


#: Running text without names and without addresses. Written for this file.
PROSE = """\
今天早上路上堵车，走了两个小时才到公司，会议已经开始了。大家讨论了下一季度的计划，一致认为应该先把仓库的问题解决掉。
我们在路上走了3个小时到南京路，然后坐地铁2号线去了火车站，票是5月3号下午的。
这款外套有白色和黑色两种，均码，洗的时候水温不要超过30度，七天内可以退换货。
北京市昨天发布了新的规定，上海市和广东省也会跟进，相关部门表示细则将在年底前公布。
快件已到达转运中心，预计明天上午派送，请保持手机畅通，如需改派请提前联系客服。
他说那条街上有一家面馆，开了二十多年，生意一直很好，每天排队的人能从门口排到路口。
系统于10点20分重启，3号服务器负载过高，运维同学正在排查，暂时切换到备用机房。
浙江大学的老师带着学生去西湖边写生，回来的时候已经晚上八点，食堂只剩下两个窗口开着。
公司第三季度营业额同比增长百分之十二，高于预期，管理层对全年目标有信心。
周末去公园散步，花都开了，江边的风很大，黄昏的时候人特别多，小孩子在广场上放风筝。
如果包裹破损，请先拍照，再把照片发给客服，一般两个工作日内会有答复，金额较大的需要财务审批。
这本书一共三百页，第二章讲的是运输，第五章讲的是包装，附录里有常见问题的解答。
深圳市的气温比往年高，专家建议市民减少户外活动，多喝温水，老人和儿童尤其要注意。
小区物业通知，明天停水一天，大家提前储水；电梯年检从周一开始，一共三天。
五楼的会议室被占用了，改到八楼，请各位带好电脑和充电器，投影仪已经装好。
高速公路上发生了一起追尾事故，现场有三辆车受损，没有人员伤亡，目前道路已恢复通行。
她从医院出来，在门口等了半个小时的出租车，到家时天已经黑了，晚饭是一碗汤面。
据了解，该项目总投资二十亿元，占地三百亩，预计后年建成，将提供五千个就业岗位。
合同一式两份，双方各执一份，自签字之日起生效，有效期一年，到期前一个月可以协商续签。
全国多地迎来降温，南方有小雨，北方部分地区最低温度降到零下，出门记得多穿衣服。
"""
