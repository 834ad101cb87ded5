-- MySQL dump 10.13  Distrib 5.7.38, for Linux (x86_64)
-- Host: db-old    Database: shop
-- ------------------------------------------------------
DROP TABLE IF EXISTS `receiver`;
CREATE TABLE `receiver` (
  `id` bigint(20) NOT NULL AUTO_INCREMENT,
  `order_no` varchar(32) NOT NULL,
  `receiver_name` varchar(64) DEFAULT NULL,
  `receiver_mobile` varchar(32) DEFAULT NULL,
  `receiver_address` varchar(255) DEFAULT NULL,
  `created` int(11) NOT NULL,
  PRIMARY KEY (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
INSERT INTO `receiver` VALUES
