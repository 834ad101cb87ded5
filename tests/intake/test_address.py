"""Splitting one-string addresses: hand-made strings (real divisions, invented details) and properties."""

from __future__ import annotations

import re
from collections import Counter

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parcelveil.intake.address import FIELDS, _Memo, _memo, split_addresses, split_known
from parcelveil.intake.divisions import divisions

# One case a line: text | region/city/district/town | what stays. "-" is null.
TUNING = """
上海市青浦区徐泾镇徐民路18弄3号 | 上海市/上海市/青浦区/徐泾镇 | 徐民路18弄3号
上海 青浦 徐民路308号 | 上海市/上海市/青浦区/- | 徐民路308号
浙江省杭州市西湖区文三路478号华星大楼5层 | 浙江省/杭州市/西湖区/- | 文三路478号华星大楼5层
杭州西湖区文二西路5号 | 浙江省/杭州市/西湖区/- | 文二西路5号
广东省广东省深圳市南山区科苑路15号 | 广东省/深圳市/南山区/- | 科苑路15号
中国江苏省苏州市虎丘区竹园路209号 | 江苏省/苏州市/虎丘区/- | 竹园路209号
北京市北京市朝阳区建国路88号院2号楼 | 北京市/北京市/朝阳区/- | 建国路88号院2号楼
北京市市辖区海淀区中关村大街27号 | 北京市/北京市/海淀区/- | 中关村大街27号
北京西路100号 | -/-/-/- | 北京西路100号
上海路20号 | -/-/-/- | 上海路20号
南京东路300号 | -/-/-/- | 南京东路300号
中山路66号3楼 | -/-/-/- | 中山路66号3楼
朝阳路8号 | -/-/-/- | 朝阳路8号
朝阳区建国路93号 | -/-/-/- | 朝阳区建国路93号
鼓楼区中山北路2号 | -/-/-/- | 鼓楼区中山北路2号
南京市鼓楼区中山北路2号 | 江苏省/南京市/鼓楼区/- | 中山北路2号
徐州鼓楼区复兴北路12号 | 江苏省/徐州市/鼓楼区/- | 复兴北路12号
广东省东莞市长安镇乌沙兴发路12号 | 广东省/东莞市/-/长安镇 | 乌沙兴发路12号
东莞市虎门镇连升路9号 | 广东省/东莞市/-/虎门镇 | 连升路9号
东莞市东莞市南城街道鸿福路200号 | 广东省/东莞市/-/南城街道 | 鸿福路200号
河南省济源市沁园街道黄河大道5号 | 河南省/济源市/-/沁园街道 | 黄河大道5号
湖北省省直辖县级行政区划仙桃市干河街道仙桃大道1号 | 湖北省/仙桃市/-/干河街道 | 仙桃大道1号
湖北仙桃市沔州大道3号 | 湖北省/仙桃市/-/- | 沔州大道3号
200000上海市黄浦区外马路55号 | 上海市/上海市/黄浦区/- | 外马路55号
310000 浙江省杭州市上城区庆春路11号 | 浙江省/杭州市/上城区/- | 庆春路11号
【浙江省】【宁波市】【海曙区】中山西路2号 | 浙江省/宁波市/海曙区/- | 中山西路2号
(上海市)(浦东新区)张江镇祖冲之路1号 | 上海市/上海市/浦东新区/张江镇 | 祖冲之路1号
上海市,上海市,浦东新区,世纪大道100号 | 上海市/上海市/浦东新区/- | 世纪大道100号
江苏省/南京市/玄武区/珠江路88号 | 江苏省/南京市/玄武区/- | 珠江路88号
江苏省 苏州市 昆山市 玉山镇 前进中路33号 | 江苏省/苏州市/昆山市/玉山镇 | 前进中路33号
昆山市玉山镇前进中路33号 | 江苏省/苏州市/昆山市/玉山镇 | 前进中路33号
江苏省昆山市前进中路33号 | 江苏省/苏州市/昆山市/- | 前进中路33号
浙江省义乌市稠城街道篁园路8号 | 浙江省/金华市/义乌市/稠城街道 | 篁园路8号
义乌市篁园路8号 | 浙江省/金华市/义乌市/- | 篁园路8号
内蒙古呼和浩特市赛罕区大学东街2号 | 内蒙古自治区/呼和浩特市/赛罕区/- | 大学东街2号
内蒙古自治区锡林郭勒盟锡林浩特市团结大街6号 | 内蒙古自治区/锡林郭勒盟/锡林浩特市/- | 团结大街6号
广西南宁市青秀区民族大道100号 | 广西壮族自治区/南宁市/青秀区/- | 民族大道100号
广西壮族自治区桂林市阳朔县西街12号 | 广西壮族自治区/桂林市/阳朔县/- | 西街12号
新疆乌鲁木齐市天山区解放北路3号 | 新疆维吾尔自治区/乌鲁木齐市/天山区/- | 解放北路3号
新疆维吾尔自治区伊犁哈萨克自治州伊宁市斯大林街9号 | 新疆维吾尔自治区/伊犁哈萨克自治州/伊宁市/- | 斯大林街9号
新疆 石河子市 北三路12号 | 新疆维吾尔自治区/石河子市/-/- | 北三路12号
西藏拉萨市城关区北京中路6号 | 西藏自治区/拉萨市/城关区/- | 北京中路6号
宁夏银川市兴庆区解放西街8号 | 宁夏回族自治区/银川市/兴庆区/- | 解放西街8号
湖北省恩施州恩施市舞阳坝街道航空路2号 | 湖北省/恩施土家族苗族自治州/恩施市/舞阳坝街道 | 航空路2号
云南省大理白族自治州大理市下关街道建设路4号 | 云南省/大理白族自治州/大理市/下关街道 | 建设路4号
重庆市渝中区解放碑民权路28号 | 重庆市/重庆市/渝中区/- | 解放碑民权路28号
重庆市县云阳县双江街道云江大道99号 | 重庆市/重庆市/云阳县/双江街道 | 云江大道99号
重庆重庆市江北区观音桥步行街5号 | 重庆市/重庆市/江北区/- | 观音桥步行街5号
山东省济南市历下区泉城路180号 | 山东省/济南市/历下区/- | 泉城路180号
济南市中区经四路12号 | 山东省/济南市/市中区/- | 经四路12号
吉林省吉林市船营区北京路3号 | 吉林省/吉林市/船营区/- | 北京路3号
吉林市昌邑区江湾路3号 | 吉林省/吉林市/昌邑区/- | 江湾路3号
吉林 吉林 船营 解放中路1号 | 吉林省/吉林市/船营区/- | 解放中路1号
海南省海口市龙华区国贸路2号 | 海南省/海口市/龙华区/- | 国贸路2号
海南省陵水黎族自治县椰林镇建设路7号 | 海南省/陵水黎族自治县/-/椰林镇 | 建设路7号
海南儋州市那大镇中兴大街3号 | 海南省/儋州市/-/那大镇 | 中兴大街3号
青海省海南藏族自治州共和县恰卜恰镇青海湖北大街1号 | 青海省/海南藏族自治州/共和县/恰卜恰镇 | 青海湖北大街1号
香港特别行政区九龙弥敦道10号 | 香港特别行政区/-/-/- | 九龙弥敦道10号
台湾省台北市信义区忠孝东路五段8号 | 台湾省/-/-/- | 台北市信义区忠孝东路五段8号
澳门特别行政区氹仔官也街3号 | 澳门特别行政区/-/-/- | 氹仔官也街3号
221B Baker Street, London | -/-/-/- | 221B Baker Street, London
1600 Pennsylvania Ave NW, Washington, DC 20500 | -/-/-/- | 1600 Pennsylvania Ave NW, Washington, DC 20500
東京都新宿区西新宿2-8-1 | -/-/-/- | 東京都新宿区西新宿2-8-1
科技园3栋502 | -/-/-/- | 科技园3栋502
广东深圳南山科技园科苑路15号 | 广东省/深圳市/南山区/- | 科技园科苑路15号
广东省深圳市广东省深圳市南山区粤海街道高新南一道2号 | 广东省/深圳市/南山区/粤海街道 | 高新南一道2号
浙江省杭州市西湖区浙江省杭州市西湖区文三路1号 | 浙江省/杭州市/西湖区/- | 文三路1号
四川省 成都市 武侯区 四川省成都市武侯区天府大道北段1700号 | 四川省/成都市/武侯区/- | 天府大道北段1700号
天津 天津市 和平区 南京路189号 | 天津市/天津市/和平区/- | 南京路189号
上海市黄浦区南京东路街道南京东路300号 | 上海市/上海市/黄浦区/南京东路街道 | 南京东路300号
上海市静安区北京西路605弄57号 | 上海市/上海市/静安区/- | 北京西路605弄57号
江苏省南京东路12号 | 江苏省/-/-/- | 南京东路12号
广东省中山大学新港西路135号 | 广东省/-/-/- | 中山大学新港西路135号
广东省中山市石岐街道孙文东路7号 | 广东省/中山市/-/石岐街道 | 孙文东路7号
江苏省鼓楼区湖南路1号 | 江苏省/-/-/- | 鼓楼区湖南路1号
上海市徐泾镇徐民路18弄 | 上海市/上海市/青浦区/徐泾镇 | 徐民路18弄
青浦区徐泾镇徐民路18弄 | 上海市/上海市/青浦区/徐泾镇 | 徐民路18弄
上海 徐民路308号 | 上海市/上海市/-/- | 徐民路308号
河北省石家庄市长安区中山东路11号 | 河北省/石家庄市/长安区/- | 中山东路11号
　福建省　厦门市　思明区　鹭江道8号　 | 福建省/厦门市/思明区/- | 鹭江道8号
"""

HELD_OUT = """
安徽省合肥市蜀山区长江西路304号 | 安徽省/合肥市/蜀山区/- | 长江西路304号
安徽 合肥 蜀山区 长江西路304号 | 安徽省/合肥市/蜀山区/- | 长江西路304号
合肥市庐阳区淮河路19号6幢 | 安徽省/合肥市/庐阳区/- | 淮河路19号6幢
福建福州鼓楼区五四路71号 | 福建省/福州市/鼓楼区/- | 五四路71号
福州市鼓楼区福州市鼓楼区东街口3号 | 福建省/福州市/鼓楼区/- | 东街口3号
江西省南昌市红谷滩区丰和中大道9号 | 江西省/南昌市/红谷滩区/- | 丰和中大道9号
江西省赣州市章贡区文清路4号 | 江西省/赣州市/章贡区/- | 文清路4号
湖南省长沙市岳麓区麓山南路932号 | 湖南省/长沙市/岳麓区/- | 麓山南路932号
湖南长沙市长沙县星沙街道开元路6号 | 湖南省/长沙市/长沙县/星沙街道 | 开元路6号
长沙 长沙县 开元路6号 | 湖南省/长沙市/长沙县/- | 开元路6号
湖南省湘西州吉首市乾州街道人民南路2号 | 湖南省/湘西土家族苗族自治州/吉首市/乾州街道 | 人民南路2号
河南省郑州市金水区花园路39号 | 河南省/郑州市/金水区/- | 花园路39号
河南省郑州市郑州市金水区花园路39号 | 河南省/郑州市/金水区/- | 花园路39号
河南 洛阳 涧西 南昌路3号 | 河南省/洛阳市/涧西区/- | 南昌路3号
山西省太原市小店区学府街8号 | 山西省/太原市/小店区/- | 学府街8号
山西省晋中市平遥县南大街28号 | 山西省/晋中市/平遥县/- | 南大街28号
平遥县南大街28号 | 山西省/晋中市/平遥县/- | 南大街28号
陕西省西安市雁塔区小寨东路11号 | 陕西省/西安市/雁塔区/- | 小寨东路11号
陕西西安雁塔区小寨东路11号 | 陕西省/西安市/雁塔区/- | 小寨东路11号
西安路15号 | -/-/-/- | 西安路15号
西安南路15号 | -/-/-/- | 西安南路15号
甘肃省兰州市城关区庆阳路77号 | 甘肃省/兰州市/城关区/- | 庆阳路77号
甘肃省嘉峪关市新华中路5号 | 甘肃省/嘉峪关市/-/- | 新华中路5号
城关区庆阳路77号 | -/-/-/- | 城关区庆阳路77号
贵州省贵阳市观山湖区林城东路10号 | 贵州省/贵阳市/观山湖区/- | 林城东路10号
贵州省黔东南苗族侗族自治州凯里市文化北路6号 | 贵州省/黔东南苗族侗族自治州/凯里市/- | 文化北路6号
云南省昆明市五华区翠湖南路4号 | 云南省/昆明市/五华区/- | 翠湖南路4号
云南 西双版纳州 景洪市 勐泐大道2号 | 云南省/西双版纳傣族自治州/景洪市/- | 勐泐大道2号
四川省成都市锦江区红星路三段1号 | 四川省/成都市/锦江区/- | 红星路三段1号
四川成都高新区天府三街69号 | -/-/-/- | 四川成都高新区天府三街69号
四川省凉山州西昌市航天大道9号 | 四川省/凉山彝族自治州/西昌市/- | 航天大道9号
四川北路1688号 | -/-/-/- | 四川北路1688号
辽宁省大连市中山区人民路8号 | 辽宁省/大连市/中山区/- | 人民路8号
大连 中山区 人民路8号 | 辽宁省/大连市/中山区/- | 人民路8号
辽宁省沈阳市和平区太原南街3号 | 辽宁省/沈阳市/和平区/- | 太原南街3号
黑龙江省哈尔滨市道里区中央大街6号 | 黑龙江省/哈尔滨市/道里区/- | 中央大街6号
黑龙江 哈尔滨 南岗 果戈里大街2号 | 黑龙江省/哈尔滨市/南岗区/- | 果戈里大街2号
黑龙江省大兴安岭地区漠河市北极镇1号 | 黑龙江省/大兴安岭地区/漠河市/北极镇 | 1号
吉林省长春市朝阳区红旗街5号 | 吉林省/长春市/朝阳区/- | 红旗街5号
吉林大路88号 | -/-/-/- | 吉林大路88号
河北省雄县雄州镇温泉路1号 | 河北省/保定市/雄县/雄州镇 | 温泉路1号
河北 唐山市 路北区 新华西道3号 | 河北省/唐山市/路北区/- | 新华西道3号
河北路12号 | -/-/-/- | 河北路12号
天津市河西区友谊路5号 | 天津市/天津市/河西区/- | 友谊路5号
天津市滨海新区塘沽街道上海道3号 | 天津市/天津市/滨海新区/塘沽街道 | 上海道3号
天津市市辖区南开区鞍山西道2号 | 天津市/天津市/南开区/- | 鞍山西道2号
北京 北京市 丰台区 方庄路3号 | 北京市/北京市/丰台区/- | 方庄路3号
北京市密云区密云镇鼓楼东大街1号 | 北京市/北京市/密云区/密云镇 | 鼓楼东大街1号
北京 昌平 回龙观街道 龙域中街1号 | 北京市/北京市/昌平区/回龙观街道 | 龙域中街1号
100020北京市朝阳区朝阳北路101号 | 北京市/北京市/朝阳区/- | 朝阳北路101号
510000 广州市天河区体育西路1号 | 广东省/广州市/天河区/- | 体育西路1号
广东省广州市天河区天河路208号 | 广东省/广州市/天河区/- | 天河路208号
广州白云机场路2号 | -/-/-/- | 广州白云机场路2号
广东 佛山 顺德 大良街道 凤山中路6号 | 广东省/佛山市/顺德区/大良街道 | 凤山中路6号
佛山市顺德区大良街道凤山中路6号 | 广东省/佛山市/顺德区/大良街道 | 凤山中路6号
中国广东省珠海市香洲区情侣中路3号 | 广东省/珠海市/香洲区/- | 情侣中路3号
中山市小榄镇升平路2号 | 广东省/中山市/-/小榄镇 | 升平路2号
中山北一路8号 | -/-/-/- | 中山北一路8号
广东省、惠州市、惠城区、江北街道、文明一路9号 | 广东省/惠州市/惠城区/江北街道 | 文明一路9号
[江苏省][无锡市][滨湖区]蠡湖大道5号 | 江苏省/无锡市/滨湖区/- | 蠡湖大道5号
江苏省-常州市-武进区-湖塘镇-花园街8号 | 江苏省/常州市/武进区/湖塘镇 | 花园街8号
江苏南通市崇川区人民中路10号 | 江苏省/南通市/崇川区/- | 人民中路10号
江阴市澄江街道虹桥北路3号 | 江苏省/无锡市/江阴市/澄江街道 | 虹桥北路3号
浙江温州市鹿城区车站大道1号 | 浙江省/温州市/鹿城区/- | 车站大道1号
温州路5号甲 | -/-/-/- | 温州路5号甲
浙江省温州市苍南县灵溪镇玉苍路6号 | 浙江省/温州市/苍南县/灵溪镇 | 玉苍路6号
浙江省 嘉兴市 桐乡市 濮院镇 工贸大道2号 | 浙江省/嘉兴市/桐乡市/濮院镇 | 工贸大道2号
桐乡市濮院镇工贸大道2号 | 浙江省/嘉兴市/桐乡市/濮院镇 | 工贸大道2号
景宁畲族自治县红星街道人民中路5号 | 浙江省/丽水市/景宁畲族自治县/红星街道 | 人民中路5号
湖北省武汉市洪山区珞喻路1037号 | 湖北省/武汉市/洪山区/- | 珞喻路1037号
武汉 武昌区 中南路7号 | 湖北省/武汉市/武昌区/- | 中南路7号
湖北宜昌长阳县龙舟坪镇清江路1号 | 湖北省/宜昌市/长阳土家族自治县/龙舟坪镇 | 清江路1号
湖北省潜江市园林街道章华中路5号 | 湖北省/潜江市/-/园林街道 | 章华中路5号
海南省三亚市天涯区解放路3号 | 海南省/三亚市/天涯区/- | 解放路3号
海南 文昌市 文城镇 文清大道2号 | 海南省/文昌市/-/文城镇 | 文清大道2号
海南省省直辖县级行政区划琼海市嘉积镇人民路1号 | 海南省/琼海市/-/嘉积镇 | 人民路1号
广西 柳州 柳南区 飞鹅路3号 | 广西壮族自治区/柳州市/柳南区/- | 飞鹅路3号
内蒙古包头市昆都仑区钢铁大街1号 | 内蒙古自治区/包头市/昆都仑区/- | 钢铁大街1号
宁夏回族自治区吴忠市利通区裕民街5号 | 宁夏回族自治区/吴忠市/利通区/- | 裕民街5号
青海省西宁市城西区五四大街1号 | 青海省/西宁市/城西区/- | 五四大街1号
新疆喀什地区喀什市人民东路2号 | 新疆维吾尔自治区/喀什地区/喀什市/- | 人民东路2号
西藏 日喀则市 桑珠孜区 上海中路2号 | 西藏自治区/日喀则市/桑珠孜区/- | 上海中路2号
西藏南路1号 | -/-/-/- | 西藏南路1号
山东省青岛市市南区香港中路10号 | 山东省/青岛市/市南区/- | 香港中路10号
青岛市北区辽宁路6号 | 山东省/青岛市/市北区/- | 辽宁路6号
香港中路10号 | -/-/-/- | 香港中路10号
山东 烟台 芝罘区 南大街1号 | 山东省/烟台市/芝罘区/- | 南大街1号
重庆市万州区太白街道白岩路2号 | 重庆市/重庆市/万州区/太白街道 | 白岩路2号
重庆 渝北区 龙溪街道 红锦大道1号 | 重庆市/重庆市/渝北区/龙溪街道 | 红锦大道1号
上海市上海市浦东新区陆家嘴街道银城中路1号 | 上海市/上海市/浦东新区/陆家嘴街道 | 银城中路1号
上海浦东张江镇高科中路3号 | 上海市/上海市/浦东新区/张江镇 | 高科中路3号
上海宝山路8号 | -/-/-/- | 上海宝山路8号
上海市长宁路88弄 | 上海市/上海市/-/- | 长宁路88弄
上海市静安寺路1号 | 上海市/上海市/-/- | 静安寺路1号
台湾省高雄市三民区九如一路2号 | 台湾省/-/-/- | 高雄市三民区九如一路2号
香港 湾仔 轩尼诗道1号 | 香港特别行政区/-/-/- | 湾仔 轩尼诗道1号
12 rue de Rivoli, 75004 Paris | -/-/-/- | 12 rue de Rivoli, 75004 Paris
서울특별시 강남구 테헤란로 1 | -/-/-/- | 서울특별시 강남구 테헤란로 1
菜鸟驿站2号柜 | -/-/-/- | 菜鸟驿站2号柜
"""


def _cases(block: str) -> list[tuple[str, list[str | None], str]]:
    cases = []
    for line in block.strip("\n").splitlines():
        text, area, rest = line.split(" | ")
        cases.append((text, [None if part == "-" else part for part in area.split("/")], rest))
    return cases


def _wrong(block: str) -> list[tuple[str, list[str | None], list[str | None]]]:
    cases = _cases(block)
    parts = split_addresses(pa.array([text for text, _, _ in cases])).to_pylist()
    wrong = []
    for (text, area, rest), part in zip(cases, parts, strict=True):
        got = [part[name] for name in ("region", "city", "district", "town", "address")]
        if got != [*area, rest]:
            wrong.append((text, [*area, rest], got))
    return wrong


def test_tuning_list() -> None:
    assert _wrong(TUNING) == []


def test_held_out_list() -> None:
    assert len(_wrong(HELD_OUT)) <= 0.03 * len(_cases(HELD_OUT))


def _one(text: str | None) -> dict[str, str | None]:
    row: dict[str, str | None] = split_addresses(pa.array([text], pa.string()))[0].as_py()
    return row


@pytest.mark.parametrize("block", [TUNING, HELD_OUT], ids=["tuning", "held-out"])
def test_the_code_is_that_of_the_names(block: str) -> None:
    texts = pa.array([text for text, _, _ in _cases(block)])
    for part in split_addresses(texts).to_pylist():
        if part["region"] is None:
            assert part["adcode"] is None
            assert part["country"] is None
            continue
        named = [part[level] for level in ("region", "city", "district", "town") if part[level]]
        path = [division.name for division in divisions().path(part["adcode"]) if division.name]
        assert path == named
        assert part["country"] == "CN"


@pytest.mark.parametrize(
    ("text", "adcode"),
    [
        ("上海市青浦区徐泾镇徐民路18弄", "310118106"),
        ("上海市青浦区徐民路18弄", "310118"),
        ("杭州市文民路18号", "330100"),
        ("浙江省文民路18号", "330000"),
        ("东莞市文民路18号", "441900"),
        ("河南省济源市文民路18号", "419001"),
        ("香港特别行政区", "810000"),
    ],
)
def test_the_code_has_the_deepest_level(text: str, adcode: str) -> None:
    assert _one(text)["adcode"] == adcode


def test_nothing_in_nothing_out() -> None:
    parts = split_addresses(pa.array([None, "", "  　", "上海市"], pa.string()))
    assert [field.name for field in parts.type] == list(FIELDS)
    assert parts.to_pylist()[:3] == [dict.fromkeys(FIELDS)] * 3
    assert parts[3].as_py()["region"] == "上海市"
    assert parts[3].as_py()["address"] is None
    assert len(split_addresses(pa.array([], pa.string()))) == 0


def test_a_postcode_in_front_is_kept_apart() -> None:
    assert _one("200000上海市青浦区徐民路1号")["postcode"] == "200000"
    assert _one("200000 1号库")["address"] == "200000 1号库"
    assert _one("2000001上海市")["address"] == "2000001上海市"


def test_a_placeholder_never_comes_out() -> None:
    for text in (
        "北京市市辖区朝阳区建国路1号",
        "重庆市县云阳县1号",
        "海南省省直辖县级行政区划琼海市1号",
        "石家庄市市辖区1号",
    ):
        values = set(_one(text).values())
        assert not values & {"市辖区", "县", "省直辖县级行政区划"}
        assert _one(text)["address"] in {"建国路1号", "1号"}


def test_roads_named_after_places_stay_roads() -> None:
    places = [divisions().at(level, row).short for level in (0, 1) for row in range(30)]
    for short in places:
        for tail in ("路1号", "东路1号", "中路1号", "大道1号", "街1号", "大学1号", "北一路1号", "新村1号", " 路1号"):
            assert _one(short + tail) == dict.fromkeys(FIELDS) | {"address": short + tail}


def test_slices_and_repeats() -> None:
    texts = ["上海市青浦区徐泾镇徐民路18弄3号", None, "杭州西湖区文民路5号"] * 5
    parts = split_addresses(pa.array(texts).slice(4, 7)).to_pylist()
    assert [part["city"] for part in parts] == [None if t is None else _one(t)["city"] for t in texts[4:11]]


# --- properties -----------------------------------------------------------------------------------------------------

_PIECES = st.sampled_from(
    re.findall(
        r"[ \x00\x1f\u200b\u3000]|[^| \n]+",
        """上海|上海市|北京|北京市|浙江|浙江省|杭州|杭州市|西湖区|西湖|青浦|青浦区|徐泾镇|徐泾|
        吉林|吉林省|吉林市|海南|\x00|\x1f|\u200b|\u3000|
        中山|中山市|朝阳|朝阳区|重庆市|县|市辖区|广东省|东莞市|长安镇|济南|市中区|路|东路|街道|大道|文民路|8号|200000|
        中国|        大学|市|区|济源|恩施|恩施州|香港|九龙|/|，|(|)|【|】|-|𠮷|é| """,
    )
)
_TEXTS = st.one_of(st.text(max_size=40), st.lists(_PIECES, max_size=12).map("".join))
_DROPPED = re.compile(
    r"[^\w]|_|市辖区|中国|中华人民共和国|(?:省|自治区)直辖(?:县级行政(?:区划|单位)|行政单位|县)?|直辖县(?:级行政(?:区划|单位))?"
)


@settings(deadline=None, max_examples=400)
@given(st.lists(_TEXTS, max_size=8))
def test_any_text_splits_and_loses_nothing(texts: list[str]) -> None:
    for text, part in zip(texts, split_addresses(pa.array(texts, pa.string())).to_pylist(), strict=True):
        assert (part["address"] or "") in text
        if part["region"] is None:
            assert part["address"] == (
                text.strip("".join(map(chr, range(0x21))) + "\x7f\xa0\u3000\ufeff\u200b") or None
            )
            continue
        before = text[: len(text) - len(part["address"] or "")].rstrip() if part["address"] else text
        kept = _DROPPED.sub("", "".join(v or "" for k, v in part.items() if k not in ("country", "adcode")))
        # What went before the address is made of known names, their short forms, and what may be dropped.
        assert set(_DROPPED.sub("", before)) <= set(kept) | set("省州市区县臺灣澳門特別行政區")


@settings(deadline=None, max_examples=300)
@given(st.lists(st.lists(_PIECES, min_size=1, max_size=10).map("".join), min_size=1, max_size=12))
def test_what_was_read_before_changes_nothing(texts: list[str]) -> None:
    memo = _Memo()
    for text in texts:
        assert memo.read(text) == _Memo().read(text)


@settings(deadline=None, max_examples=200)
@given(_TEXTS)
def test_splitting_the_joined_parts_gives_the_same_place(text: str) -> None:
    part = _one(text)
    if part["region"] and part["address"] and not re.match(r"[市区县州省]|\W", part["address"]):
        names = [part[level] for level in ("region", "city", "district", "town") if part[level]]
        again = _one(" ".join([*names, "文民里"]))
        assert again["adcode"] == part["adcode"]


def test_hostile_texts_end_soon() -> None:
    texts = [
        "上海" * 100_000,
        "上海市" * 100_000,
        " " * 300_000,
        "吉林 " * 50_000,
        "\x1f" * 100_000,
        "(" * 100_000,
        "上海市" + " " * 200_000,
    ]
    parts = split_addresses(pa.array(texts)).to_pylist()
    assert parts[6]["region"] == "上海市"
    assert parts[2]["address"] is None
    assert all(len(known) <= 64 for known in _memo().readings)


# --- columns of their own -------------------------------------------------------------------------------------------


def _known(*columns: str | None) -> dict[str, str | None]:
    row: dict[str, str | None] = split_known(*(pa.array([c], pa.string()) for c in columns))[0].as_py()
    return row


@pytest.mark.parametrize(
    ("given_", "expected"),
    [
        (
            ("浙江省", "杭州市", "西湖区", None, "文民路1号"),
            ("浙江省", "杭州市", "西湖区", None, "330106", "文民路1号"),
        ),
        (("浙江", "杭州", "西湖", None, "文民路1号"), ("浙江省", "杭州市", "西湖区", None, "330106", "文民路1号")),
        (("上海", "市辖区", "青浦区", "徐泾镇", "1号"), ("上海市", "上海市", "青浦区", "徐泾镇", "310118106", "1号")),
        ((None, None, "青浦区", None, "徐泾镇1号"), ("上海市", "上海市", "青浦区", "徐泾镇", "310118106", "1号")),
        (("河南省", "直辖县", "济源市", None, "1号"), ("河南省", "济源市", None, None, "419001", "1号")),
        (("北京", "北京", "朝阳", None, "北路1号"), ("北京市", "北京市", "朝阳区", None, "110105", "北路1号")),
        (("浙江省", "杭州市", "其它区", None, "1号"), ("浙江省", "杭州市", "其它区", None, "330100", "1号")),
        (("上海市", "南京市", None, None, "1号"), ("上海市", "南京市", None, None, None, "1号")),
        (
            ("California", "Springfield", None, None, "Elm St 1"),
            ("California", "Springfield", None, None, None, "Elm St 1"),
        ),
        ((None, None, None, None, "上海市青浦区1号"), ("上海市", "上海市", "青浦区", None, "310118", "1号")),
        ((None, None, None, None, None), (None, None, None, None, None, None)),
    ],
)
def test_known_columns(given_: tuple[str | None, ...], expected: tuple[str | None, ...]) -> None:
    part = _known(*given_)
    assert tuple(part[k] for k in ("region", "city", "district", "town", "adcode", "address")) == expected


@settings(deadline=None, max_examples=200)
@given(st.lists(st.none() | _TEXTS, min_size=5, max_size=5))
def test_known_columns_never_lose_a_text(columns: list[str | None]) -> None:
    part = _known(*columns)
    whole = Counter("".join(v or "" for v in part.values()))
    assert set(part) == set(FIELDS)
    for column in columns[:4]:
        if column and not part["adcode"]:
            assert not Counter(re.sub(r"[\W_]|市辖区", "", column)) - whole


def test_every_town_is_found_by_its_names() -> None:
    gazetteer = divisions()
    # Not the forest bureaus, prisons and companies that the statistics office counts among the towns.
    ends = ("街道", "镇", "乡")
    rows = [row for row in range(0, len(gazetteer.towns.codes), 37) if gazetteer.towns.names[row].endswith(ends)]
    texts, codes = [], []
    for row in rows:
        code = str(gazetteer.towns.codes[row])
        names = [division.name for division in gazetteer.path(code)]
        texts.append("".join(names) + "文民里8号")
        codes.append(code)
    got = split_addresses(pa.array(texts)).field("adcode").to_pylist()
    assert sum(a == b for a, b in zip(got, codes, strict=True)) >= 0.999 * len(codes)
