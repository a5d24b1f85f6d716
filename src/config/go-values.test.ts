import { describe, expect, test } from 'vitest'
import {
  appendPortIfNeeded,
  isQuantity,
  isZeroQuantity,
  parseBind,
  parseCsv,
  parseGoBool,
  parseGoFloat,
  parseGoInt,
  splitHostPort,
} from './go-values.ts'

describe('values as Go reads them', () => {
  test.each([
    ['1', true],
    ['t', true],
    ['T', true],
    ['true', true],
    ['TRUE', true],
    ['True', true],
    ['0', false],
    ['f', false],
    ['F', false],
    ['false', false],
    ['FALSE', false],
    ['False', false],
    ['yes', undefined],
    ['tRUE', undefined],
    ['', undefined],
    ['2', undefined],
    [' true', undefined],
  ] as const)('bool %j', (text, expected) => {
    expect(parseGoBool(text)).toBe(expected)
  })

  test.each([
    ['0', 0],
    ['-0', 0],
    ['14', 14],
    ['-999', -999],
    ['+5', 5],
    ['0x1f', 31],
    ['-0x10', -16],
    ['010', 8],
    ['0o17', 15],
    ['0b101', 5],
    ['1_000', 1000],
    ['2147483647', 2147483647],
    ['2147483648', undefined],
    ['-2147483648', -2147483648],
    ['-2147483649', undefined],
    ['', undefined],
    ['1.0', undefined],
    ['1e3', undefined],
    ['08', undefined],
    ['0x', undefined],
    ['1__0', undefined],
    [' 1', undefined],
  ] as const)('int32 %j', (text, expected) => {
    expect(parseGoInt(text, -(2 ** 31), 2 ** 31 - 1)).toBe(expected)
  })

  test.each([
    ['5', 5],
    ['-1.5', -1.5],
    ['.5', 0.5],
    ['1e2', 100],
    ['5.', 5],
    ['1e39', undefined],
    ['x', undefined],
    ['', undefined],
  ] as const)('float32 %j', (text, expected) => {
    expect(parseGoFloat(text)).toBe(expected)
  })

  test.each([
    ['0.0.0.0:10256', { host: '0.0.0.0', port: '10256' }],
    ['[::]:80', { host: '::', port: '80' }],
    [':80', { host: '', port: '80' }],
    ['0.0.0.0', undefined],
    ['::1', undefined],
    ['::1:80', undefined],
    ['[::1]', undefined],
    ['[::1]80', undefined],
    ['[[::1]]:80', undefined],
    ['a]:80', undefined],
  ] as const)('host and port of %j', (text, expected) => {
    expect(splitHostPort(text)).toEqual(expected)
  })

  test.each([
    ['0.0.0.0', '0.0.0.0:7'],
    ['1.2.3.4:9', '1.2.3.4:9'],
    ['::1', '[::1]:7'],
    ['[::1]:9', '[::1]:9'],
    ['[::1]', '[::1]'],
    ['localhost', 'localhost'],
    ['', ''],
  ] as const)('port appended to %j', (text, expected) => {
    expect(appendPortIfNeeded(text, 7)).toBe(expected)
  })

  test.each([
    ['127.0.0.1:1', { ip: '127.0.0.1', port: 1 }],
    ['[::]:65535', { ip: '::', port: 65535 }],
    ['010.0.0.1:080', { ip: '10.0.0.1', port: 80 }],
  ] as const)('bind %s', (text, expected) => {
    expect(parseBind(text)).toEqual(expected)
  })

  test.each([
    ['127.0.0.1', ['Invalid value: "127.0.0.1": must be IP:port']],
    ['127.0.0.1:0', ['Invalid value: "0": must be a valid port']],
    ['127.0.0.1:65536', ['Invalid value: "65536": must be a valid port']],
    ['127.0.0.1:-1', ['Invalid value: "-1": must be a valid port']],
    ['x:y', ['Invalid value: "x": must be a valid IP address', 'Invalid value: "y": must be a valid port']],
    ['[fe80::1%eth0]:80', ['Invalid value: "fe80::1%eth0": must be a valid IP address']],
  ] as const)('bind %s is refused', (text, wrong) => {
    expect(parseBind(text)).toEqual({ wrong })
  })

  test.each([
    ['', []],
    ['a', ['a']],
    ['a,b', ['a', 'b']],
    ['a,', ['a', '']],
    ['"a,b",c', ['a,b', 'c']],
    ['"a""b"', ['a"b']],
    ['"a', undefined],
    ['a"b', undefined],
    ['"a"b', undefined],
  ] as const)('CSV %j', (text, expected) => {
    expect(parseCsv(text)).toEqual(expected)
  })

  test.each([
    ['0', true, true],
    ['0.0', true, true],
    ['000Ki', true, true],
    ['512', true, false],
    ['2Mi', true, false],
    ['1.5G', true, false],
    ['1e3', true, false],
    ['', false, true],
    ['Mi', false, true],
    ['1KB', false, true],
  ] as const)('quantity %j', (text, valid, zero) => {
    expect(isQuantity(text)).toBe(valid)
    if (valid) expect(isZeroQuantity(text)).toBe(zero)
  })
})
