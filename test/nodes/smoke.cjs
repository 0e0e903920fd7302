const { dynacode } = require('dynacode')
const Koa = require('koa')
const scenario = require('./scenario.cjs')

scenario({ Koa, dynacode, closes: false })
